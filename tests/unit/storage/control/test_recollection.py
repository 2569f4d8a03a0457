"""What is believed of the control plane while its database does not answer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from appliance.errors import NotFound, TransientError
from appliance.storage.control import sqlite
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.recollection import Known, Recollection


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_last_answer_counts_and_none_is_one() -> None:
    known = Recollection()
    known.keep(("a", 1), "old")
    known.keep(("a", 1), None)
    assert known.recall(("a", 1)) == Known(None, known.recall(("a", 1)).at)  # type: ignore[union-attr]
    assert known.recall(("a", 2)) is None


def test_what_was_kept_longest_ago_goes_first() -> None:
    known = Recollection(most=2)
    for number in (1, 2, 1, 3):
        known.keep((number,), number)
    assert [known.recall((number,)) is not None for number in (1, 2, 3)] == [True, False, True]


def test_questions_are_forgotten_by_their_beginning() -> None:
    known = Recollection()
    for question in (("session", "a"), ("session", "b"), ("token", "a")):
        known.keep(question, 1)
    known.forget("session")
    assert [known.recall(one) is not None for one in (("session", "a"), ("session", "b"), ("token", "a"))] == [
        False, False, True,
    ]  # fmt: skip


def test_an_answer_from_long_before_the_loss_is_not_believed() -> None:
    clock = Clock()
    known = Recollection(clock=clock)
    known.keep(("early",), 1)
    clock.now = 601.0
    known.keep(("late",), 2)  # the newest answer: the database was lost after it
    clock.now = 9_000.0  # however long it stays away
    assert known.recall(("early",), within_secs=600) is None
    assert known.recall(("late",), within_secs=600) == Known(2, 601.0)
    assert known.recall(("early",)) == Known(1, 0.0)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane whose database answers as long as ``plane.answers`` is true."""

    class Losable(ControlPlane):
        answers = True

        def read_now(self, work: Callable[[Session], object]) -> object:  # type: ignore[override]
            if not self.answers:
                raise TransientError("the control plane cannot be reached now", retry_after_secs=1)
            return super().read_now(work)

    plane = Losable(sqlite.open_backend(tmp_path / "control.sqlite3"))
    yield plane
    plane.close()


def number(_: Session) -> int:
    return 7


async def test_looking_goes_on_while_the_database_is_away(plane: ControlPlane) -> None:
    assert await plane.recall(("n",), number) == 7
    plane.answers = False  # type: ignore[attr-defined]
    assert await plane.recall(("n",), number) == 7
    with pytest.raises(TransientError):
        await plane.recall(("m",), number)
    with pytest.raises(TransientError):
        await plane.read(number)  # what is changed is never decided by what was known


async def test_what_was_found_to_be_gone_is_not_shown_again(plane: ControlPlane) -> None:
    def gone(_: Session) -> int:
        raise NotFound("there is none")

    await plane.recall(("n",), number)
    with pytest.raises(NotFound):
        await plane.recall(("n",), gone)
    plane.answers = False  # type: ignore[attr-defined]
    with pytest.raises(TransientError):
        await plane.recall(("n",), number)
