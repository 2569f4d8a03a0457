"""The audit chain shows whatever was done to it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, update

from appliance.storage.control.audit import Deed, record, verify
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import AuditHeadRow, AuditRow

AT = datetime(2026, 1, 31, 8, 0, 0, 1, tzinfo=UTC)


CHANGED = "audit entry 2 was changed after it was written"


def found(plane: ControlPlane) -> list[str]:
    return plane.read_now(lambda tx: list(verify(tx)))


@pytest.fixture
def chain(plane: ControlPlane) -> ControlPlane:
    for number in range(4):
        deed = Deed(organisation_id="org_1", who="ada", action="x.do", target=f"t{number}", detail={"b": 1, "a": None})
        plane.write_now(lambda tx, deed=deed: record(tx, deed, AT))
    return plane


def test_an_untouched_chain_is_whole(chain: ControlPlane) -> None:
    assert found(chain) == []


def test_an_empty_chain_is_whole(plane: ControlPlane) -> None:
    assert found(plane) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (update(AuditRow).where(AuditRow.sequence == 2).values(who="eve"), [CHANGED]),
        (update(AuditRow).where(AuditRow.sequence == 2).values(detail={}), [CHANGED]),
        (delete(AuditRow).where(AuditRow.sequence == 2), ["audit entries 2 to 2 are missing"]),
        (delete(AuditRow).where(AuditRow.sequence <= 2), ["audit entries 1 to 2 are missing"]),
        (delete(AuditRow).where(AuditRow.sequence == 4), ["the audit trail ends at entry 3 and should end at 4"]),
        (delete(AuditHeadRow), ["the audit trail ends at entry 4 and should end at 0"]),
    ],
)  # fmt: skip
def test_a_touched_chain_is_told(chain: ControlPlane, statement: Any, told: list[str]) -> None:
    chain.write_now(lambda tx: tx.execute(statement))
    assert found(chain) == told


def test_an_entry_of_a_failed_transaction_was_never_there(chain: ControlPlane) -> None:
    def fail(tx: Any) -> None:
        record(tx, Deed(organisation_id=None, who="ada", action="x.do", target="t"), AT)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        chain.write_now(fail)
    assert found(chain) == []
