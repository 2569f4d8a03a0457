"""Whatever JSON is sent as a document: it is judged, and never breaks the judge."""

import functools
import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance import catalog
from appliance.errors import Invalid
from appliance.mapping import check
from appliance.services.dashboard_documents import read_dashboard
from appliance.services.definitions import Definitions
from appliance.services.query_documents import aggregation, read_query
from appliance.services.views import SECRET_MASK
from appliance.storage.control.vault import Vault

T = TypeVar("T")

DEFINITIONS = Definitions(catalog, Vault(Fernet.generate_key()), check)
WORDS = st.sampled_from(
    ["name", "source", "type", "webhook", "http_poll", "secrets", "auth", "token", "url", "mapping", "fields", "path",
     "expr", "key", "widgets", "query", "pipeline", "measures", "op", "count", "avg", "bucket", "1h", "where", "range",
     "from", "now-1h", SECRET_MASK, "$.a", "", "\x00", "a/b~c"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
ANY: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=25
)
PIPELINE = st.fixed_dictionaries(
    {
        "name": st.just("p") | ANY,
        "source": st.fixed_dictionaries({"type": WORDS}, optional={"secrets": ANY, "auth": ANY}),
    },
    optional={"mapping": ANY, "sinks": ANY, "retention": ANY, "rate_limit": ANY, "persist": ANY},
)
QUERY = st.fixed_dictionaries(
    {"pipeline": st.just("p"), "measures": st.just([{"op": "count"}]) | ANY},
    optional={"where": ANY, "bucket": ANY, "range": ANY, "from": ANY, "limit": ANY, "group_by": ANY},
)
quickly = functools.partial(settings, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def judged(judge: Callable[[Any], T], document: Any) -> T | None:
    """Return what ``judge`` reads; None: it refused, and told at least one place."""
    try:
        return judge(document)
    except Invalid as error:
        told = [problem.pointer for problem in error.problems]
    assert told
    assert [pointer for pointer in told if pointer and not pointer.startswith("/")] == []
    return None


@quickly(max_examples=150)
@given(ANY | PIPELINE)
def test_pipelines(document: Any) -> None:
    decoded = judged(DEFINITIONS.decode, document)
    if decoded is not None:
        sealed = DEFINITIONS.seal(decoded)
        assert DEFINITIONS.unseal(sealed) == decoded
        assert DEFINITIONS.decode(json.loads(json.dumps(DEFINITIONS.mask(sealed))), sealed) == decoded


@quickly(max_examples=150)
@given(ANY | QUERY)
def test_queries(document: Any) -> None:
    query = judged(read_query, document)
    if query is not None:
        aggregation(query)


@quickly(max_examples=100)
@given(ANY | st.fixed_dictionaries({"name": st.just("d"), "widgets": st.lists(ANY, max_size=3)}))
def test_dashboards(document: Any) -> None:
    judged(read_dashboard, document)


def test_a_mask_never_becomes_a_secret() -> None:
    document = {"name": "p", "source": {"type": "webhook", "secrets": [SECRET_MASK]}}
    with pytest.raises(Invalid, match="the mask stands for a stored secret and there is none"):
        DEFINITIONS.decode(document)


def test_a_mask_takes_no_secret_of_another_source() -> None:
    stored = DEFINITIONS.seal(
        DEFINITIONS.decode({"name": "p", "source": {"type": "webhook", "signature": "github", "secrets": ["12345678"]}})
    )
    other = {"type": "http_poll", "url": "https://example.org", "auth": {"type": "bearer", "token": SECRET_MASK}}
    with pytest.raises(Invalid, match="there is none"):
        DEFINITIONS.decode({"name": "p", "source": other}, stored)
