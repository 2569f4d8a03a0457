"""What psycopg is told: the DSN first, then what suits the primary or a replica."""

import pytest

from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.storage.control.connect import parameters


@pytest.mark.parametrize(
    ("url", "primary", "replica"),
    [
        ("postgresql://db/dash", None, None),
        ("postgresql://db1,db2/dash", "read-write", "standby"),
        ("postgresql://db1,db2/dash?target_session_attrs=any", "any", "any"),
    ],
)
def test_of_several_hosts_the_one_that_is_meant_is_looked_for(
    url: str, primary: str | None, replica: str | None
) -> None:
    access = Access(dsn=Dsn.parse(url))
    assert parameters(access).get("target_session_attrs") == primary
    assert parameters(access, replica=True).get("target_session_attrs") == replica


def test_a_replica_is_given_up_sooner_unless_the_dsn_says_otherwise() -> None:
    access = Access(dsn=Dsn.parse("postgresql://db/dash"))
    assert [parameters(access)[one] for one in ("keepalives_idle", "tcp_user_timeout")] == ["5", "10000"]
    patient = Access(dsn=Dsn.parse("postgresql://db/dash?keepalives_idle=60"))
    told = parameters(patient, replica=True)
    assert [told[one] for one in ("keepalives_idle", "tcp_user_timeout")] == ["60", "5000"]
