"""Pages of ended sessions are sent away."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from appliance.domain.access import Principal, Role
from ui import session
from ui.session import OpenPages

ADA = Principal(organisation_id="org_1", role=Role.EDITOR, name="ada@example.org")  # type: ignore[arg-type]


class Window:
    """What OpenPages needs of a NiceGUI client."""

    def __init__(self) -> None:
        self.scripts: list[str] = []
        self.told, self.ended = asyncio.Event(), asyncio.Event()
        self.leave: Callable[[], None] = lambda: None

    def run_javascript(self, code: str) -> None:
        self.scripts.append(code)
        self.told.set()

    def on_delete(self, handler: Callable[[], None]) -> None:
        self.leave = handler

    def delete(self) -> None:
        self.leave()
        self.ended.set()


class Sessions:
    """Knows the cookies that are valid."""

    def __init__(self, *valid: str) -> None:
        self.valid = set(valid)
        self.who = ADA

    async def resolve(self, cookie: str) -> Principal | None:
        return self.who if cookie in self.valid else None


AWAY = "location.assign('/sign-in')"


async def test_closing_a_session_closes_its_pages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LEAVE_SECS", 0.01)
    pages, mine, other = OpenPages(Sessions()), Window(), Window()  # type: ignore[arg-type]
    pages.add("mine", mine, ADA)  # type: ignore[arg-type]
    pages.add("other", other, ADA)  # type: ignore[arg-type]
    pages.close("mine")
    pages.close("nobody")
    assert (mine.scripts, other.scripts) == ([AWAY], [])
    await asyncio.wait_for(mine.ended.wait(), 5)  # whether its browser has left or not
    assert not other.ended.is_set()


async def test_a_page_that_was_left_is_forgotten() -> None:
    pages, window = OpenPages(Sessions()), Window()  # type: ignore[arg-type]
    pages.add("mine", window, ADA)  # type: ignore[arg-type]
    window.leave()
    pages.close("mine")
    assert window.scripts == []


async def test_sessions_that_ended_elsewhere_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SWEEP_SECS", 0.01)
    sessions = Sessions("mine", "other")
    pages, mine, other = OpenPages(sessions), Window(), Window()  # type: ignore[arg-type]
    pages.add("mine", mine, ADA)  # type: ignore[arg-type]
    pages.add("other", other, ADA)  # type: ignore[arg-type]
    watch = asyncio.create_task(pages.watch())
    sessions.valid.discard("mine")
    await asyncio.wait_for(mine.told.wait(), 5)
    watch.cancel()
    assert (len(mine.scripts), other.scripts) == (1, [])
    assert "'/sign-in' + '?next='" in mine.scripts[0]  # who signs in again goes on where they were


async def test_a_page_of_somebody_with_another_role_since_is_built_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "SWEEP_SECS", 0.01)
    monkeypatch.setattr(session, "LEAVE_SECS", 0.01)
    sessions, window = Sessions("mine"), Window()
    pages = OpenPages(sessions)  # type: ignore[arg-type]
    pages.add("mine", window, ADA)  # type: ignore[arg-type]
    watch = asyncio.create_task(pages.watch())
    sessions.who = msgspec.structs.replace(ADA, role=Role.VIEWER)
    await asyncio.wait_for(window.ended.wait(), 5)
    watch.cancel()
    assert window.scripts[0] == "location.reload()"
