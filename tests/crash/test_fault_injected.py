"""The disk refuses calls of the system, here and there, while a sender posts, segments close, Silver commits and a
replay is swapped in: nothing acknowledged is lost, the ledger balances, and service is back without hands.

One appliance bears all cases, one after the other, and is verified at the end. Where a call fails for good, ``/readyz``
names it while it lasts, and so does every page. **The controls**: a disk that says it wrote and did not is found out,
and ``Disturbed`` fails a test in which nothing was disturbed.

**What it does not show**: a kernel that loses what it was told to sync (see test_bronze_storage).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.crash.faults import Disturbed, Subject, document, until
from tests.running import standard_headers
from tests.ui.browsing import CHROMIUM, FLAGS, sign_in

LOG = {
    "a sync of the log": ("fdatasync:error=EIO:when=2+9", 2),
    "a write to the log": ("pwritev2:error=EIO:when=2+5", 3),
    "a full disk under a write to the log": ("pwritev2:error=ENOSPC:when=3+4", 3),
    "every other write to the log": ("pwritev2:error=ENOSPC:when=1+2", 3),
    "space ahead": ("fallocate:error=ENOSPC:when=1+1", 3),
    "space ahead, badly": ("fallocate:error=EIO:when=1+2", 2),
    "a directory's sync": ("fsync:error=EIO:when=1+2", 3),
    "a full disk under a directory's sync": ("fsync:error=ENOSPC:when=2+3", 2),
    "a rename": ("rename:error=EIO:when=1+2", 2),
    "a full disk under a rename": ("rename:error=ENOSPC:when=2+2", 2),
    "a segment's end": ("ftruncate:error=EIO:when=1+2", 2),
    "a removal": ("unlink:error=EIO:when=1+2", 2),
}
COMMIT = {
    "a write on a full disk": ("write:error=ENOSPC:when=6", 1),
    "a sync": ("fdatasync:error=EIO:when=2", 1),
}
SWAP = {  # the book of replays is in the control plane
    "a write of rows": ("rows", "write:error=EIO:when=4"),
    "a sync of rows": ("rows", "fdatasync:error=EIO:when=5"),
    "a write of the book": ("book", "pwrite64:error=ENOSPC:when=6"),
    "a sync of the book": ("book", "fdatasync:error=EIO:when=3"),
}
CHECKPOINT = ("pwrite64:error=ENOSPC:when=3", "fdatasync:error=EIO:when=1")


@pytest.fixture(scope="module")
def subject(made_subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    copy = made_subject.copied(tmp_path_factory.mktemp("disturbed"))
    copy.appliance.start()
    try:
        yield copy
        copy.verify()
    finally:
        copy.appliance.stop()


@pytest.fixture
def disturbed(subject: Subject, tmp_path: Path) -> Callable[..., Disturbed]:
    def disturb(*inject: str, paths: tuple[Path, ...] = ()) -> Disturbed:
        return Disturbed(subject.appliance.pid, tmp_path / "trace", *inject, paths=paths)

    return disturb


def beside(path: Path) -> Path:
    """Return the write-ahead log of a DuckDB file."""
    return path.with_name(f"{path.name}.wal")


@pytest.mark.parametrize("place", LOG)
def test_receiving_and_rotating(subject: Subject, disturbed: Callable[..., Disturbed], place: str) -> None:
    inject, times = LOG[place]
    with subject.sending(pad=8000), disturbed(inject) as disk:
        disk.await_places(times)
    subject.check()


@pytest.mark.parametrize("place", COMMIT)
def test_a_commit_of_rows(subject: Subject, disturbed: Callable[..., Disturbed], place: str) -> None:
    inject, times = COMMIT[place]
    with subject.sending(), disturbed(inject, paths=(beside(subject.silver),)) as disk:
        disk.await_places(times)
    subject.check()


@pytest.mark.parametrize("place", SWAP)
def test_a_replay_and_its_swap(subject: Subject, disturbed: Callable[..., Disturbed], place: str) -> None:
    which, inject = SWAP[place]
    file = beside(subject.silver) if which == "rows" else subject.control.with_name("control.sqlite3-wal")
    with subject.sending(pad=100), disturbed(inject, paths=(file,)) as disk:
        until(lambda: begun(subject), lambda: "the replay could not be begun")
        disk.await_places()
        subject.await_replay("swapped")
    subject.check()


def begun(subject: Subject) -> bool:
    """Ask for a replay by the version that does not run; whoever hears 503 asks again."""
    with subject.appliance.client() as client:
        answer = client.post(f"{subject.path}/replays", json={"version": 3 - subject.version})
    assert answer.status_code in (201, 503), answer.text
    return answer.status_code == 201


@pytest.mark.parametrize("inject", CHECKPOINT)
def test_a_checkpoint(subject: Subject, disturbed: Callable[..., Disturbed], inject: str) -> None:
    """Removing a pipeline ends in one."""
    other, secret = subject.appliance.create_pipeline("other", document(1)["mapping"])
    body = b'[{"number":1}]'
    headers = standard_headers(secret, "one", body)
    with subject.sending(), subject.appliance.client() as client:
        client.post(f"/in/{other}", content=body, headers=headers).raise_for_status()
        subject.appliance.wait_refined(other)
        with disturbed(inject, paths=(subject.silver,)) as disk:
            until(lambda: client.delete(f"/api/v1/pipelines/{other}").status_code in (204, 404))
            disk.await_places()
    subject.check()


def test_a_log_that_cannot_be_written_is_named_on_readyz_and_on_every_page(
    subject: Subject, disturbed: Callable[..., Disturbed]
) -> None:
    subject.check()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{subject.appliance.url}/sign-in?next=/pipelines")
        sign_in(page)
        page.wait_for_selector(".health[data-state=ok]")
        with subject.sending() as sender, disturbed("pwritev2:error=EIO:when=1+1"):
            subject.await_reason("receiving", f"{subject.pipeline_id}: writing to the disk failed twice")
            page.reload()
            page.wait_for_selector(".health[data-state=warn][title*='writing to the disk failed twice']")
            until(lambda: sender.answers[503], lambda: sender.answers)
            assert subject.rows()[0]["number"] == 0  # it stays readable
        subject.check()
        page.reload()
        page.wait_for_selector(".health[data-state=ok]")
        browser.close()


def test_rows_that_cannot_be_written_are_named_and_events_are_taken_all_the_same(
    subject: Subject, disturbed: Callable[..., Disturbed]
) -> None:
    subject.check()
    with subject.sending() as sender:
        with disturbed("write:error=ENOSPC:when=1+1", paths=(beside(subject.silver),)):
            subject.await_reason("refining", "the disk is full or refuses to write")
            before = subject.acknowledged
            until(lambda: subject.acknowledged > before + 200, lambda: sender.answers)
        assert sender.answers[503] == 0
    subject.check()


def test_a_control_plane_that_cannot_be_written_holds_up_neither_receiving_nor_reading(
    subject: Subject, disturbed: Callable[..., Disturbed]
) -> None:
    book = subject.control.with_name("control.sqlite3-wal")
    with subject.sending() as sender:
        with disturbed("pwrite64:error=EIO:when=1+1", "fdatasync:error=EIO:when=1+1", paths=(book,)):
            with subject.appliance.client() as client:
                answer = client.post("/api/v1/pipelines", json={**document(1), "name": "never"})
            assert (answer.status_code, answer.json()["code"]) == (503, "E_UNAVAILABLE")
            before = subject.acknowledged
            until(lambda: subject.acknowledged > before + 100, lambda: sender.answers)
            assert subject.rows()[0]["number"] == 0
        assert sender.answers[503] == 0
    subject.check()


def test_the_control_a_disk_that_says_it_wrote_and_did_not(made_subject: Subject, tmp_path: Path) -> None:
    subject = made_subject.copied(tmp_path)
    subject.appliance.start()
    try:
        lie = Disturbed(subject.appliance.pid, tmp_path / "trace", "pwritev2:retval=100000000:when=2")
        with subject.sending(), lie:
            lie.await_places()
        with pytest.raises(AssertionError):
            subject.check()
        assert subject.appliance.stop() == 0
        assert subject.findings() != []
    finally:
        subject.appliance.stop()


def test_the_control_nothing_disturbed_proves_nothing(subject: Subject, disturbed: Callable[..., Disturbed]) -> None:
    with pytest.raises(AssertionError, match="nothing was disturbed"), disturbed("rename:error=EIO:when=60000"):
        assert httpx.get(f"{subject.appliance.url}/livez", trust_env=False).status_code == 200
