"""Files that rot while the appliance is down: torn, zeroed, flipped and truncated, one kind of file after the other.

What is derived comes back by itself. What was received and cannot be read is named on ``/readyz`` and by ``verify``,
its events are dead letters, everything else goes on, and a copy put back makes it whole. **The controls**: damage that
is not mended fails the check, and so does an event removed behind the appliance's back.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import duckdb
import httpx
import pytest
import zstandard

from tests.crash.faults import Subject, document, until
from tests.running import standard_headers


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def zero(content: bytes, place: int) -> bytes:
    return content[:place] + bytes(64) + content[place + 64 :]


HURT: dict[str, Callable[[bytes], bytes]] = {  # an open segment ends in zeros, which are nothing yet
    "torn": lambda content: content[: len(content.rstrip(b"\0")) // 2],
    "zeroed": lambda content: zero(content, len(content.rstrip(b"\0")) // 3),
    "flipped": lambda content: flip(content, len(content.rstrip(b"\0")) // 3),
    "truncated": lambda content: b"",
}


@pytest.fixture
def subject(made_subject: Subject, tmp_path: Path) -> Iterator[Subject]:
    copy = made_subject.copied(tmp_path)
    try:
        yield copy
    finally:
        copy.appliance.stop()


def hurt(path: Path, how: str) -> bytes:
    """Damage a file; return what it was."""
    whole = path.read_bytes()
    path.write_bytes(HURT[how](whole))
    assert path.read_bytes() != whole
    return whole


def killed(subject: Subject) -> None:
    """Let it take some more events, refine them, and end as by a power cut."""
    subject.appliance.start()
    subject.send(200)
    subject.appliance.wait_refined(subject.pipeline_id)
    subject.appliance.kill()


def open_segment(subject: Subject) -> Path:
    return max(subject.bronze.glob("0*.jsonl"))


def rot_rows(subject: Subject) -> None:
    """Flip a bit such that the file of rows opens, and its rows do not read."""
    whole = subject.silver.read_bytes()
    for place in range(len(whole) // 8, len(whole), 1 << 16):
        subject.silver.write_bytes(flip(whole, place))
        if _reads(subject.silver, "_generations") and not _reads(subject.silver, f"rows_{subject.pipeline_id}"):
            return
    raise AssertionError("no bit of the file is one of its rows'")


def _reads(path: Path, table: str) -> bool:
    try:
        with duckdb.connect(str(path), read_only=True) as file:
            file.table(table).to_arrow_table()
    except duckdb.Error:
        return False
    return True


def numbers_dead(subject: Subject) -> int:
    return subject.appliance.wait_refined(subject.pipeline_id)["dead"]


def assert_rest_is_there(subject: Subject, lost: range) -> None:
    """All rows but those of the events ``lost`` (a range of ``_seq``) are there, and the ledger says so."""
    rows = subject.rows()
    assert sorted(row["_seq"] for row in rows) == [seq for seq in range(1, subject.acknowledged + 1) if seq not in lost]
    assert all(row["twice"] == row["number"] * 2 for row in rows)
    ledger = subject.appliance.wait_refined(subject.pipeline_id)
    assert ledger == {
        "received": subject.acknowledged, "stored": subject.acknowledged - len(lost), "filtered": 0, "duplicate": 0,
        "dead": len(lost), "pending": 0,
    }  # fmt: skip


def retry(subject: Subject) -> None:
    with subject.appliance.client() as client:
        client.post(f"{subject.path}/dead-letters/retry", json={"choose": {}}).raise_for_status()


def test_closed_segments(subject: Subject) -> None:
    """Four of them rot in four ways; a replay meets them, and copies put back while it runs mend them."""
    segments = sorted(subject.bronze.glob("*.jsonl.zst"))[:4]
    firsts = [int(path.name.split(".")[0]) for path in sorted(subject.bronze.glob("0*.jsonl*"))]
    whole = {path: hurt(path, how) for path, how in zip(segments, HURT, strict=True)}
    subject.appliance.start()
    subject.check()  # rows are there already, and nobody has read that far
    subject.replay_over_damage(2)
    assert_rest_is_there(subject, range(firsts[0], firsts[4]))
    subject.await_reason("storage", f"events {firsts[0]} to {firsts[1] - 1} of {subject.pipeline_id}", ready=True)
    subject.await_reason("storage", "put a copy of that file back", ready=True)
    subject.send(100)  # it receives all the while
    with pytest.raises(AssertionError):
        subject.check()  # the control: unmended, the check fails

    for path, content in whole.items():
        path.write_bytes(content)
    retry(subject)
    subject.check()
    assert "cannot be read" not in subject.readiness()["storage"][1]
    subject.verify()


def test_verify_names_every_segment_that_rots(subject: Subject) -> None:
    segments = sorted(subject.bronze.glob("*.jsonl.zst"))[:4]
    for path, how in zip(segments, HURT, strict=True):
        hurt(path, how)
    assert [one["where"].split()[-1] for one in subject.findings()] == [path.name for path in segments]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["flipped", "zeroed"])
def test_the_middle_of_the_open_segment(subject: Subject, how: str) -> None:
    killed(subject)
    hurt(open_segment(subject), how)
    subject.appliance.start()
    subject.send(100)
    subject.check()  # it was refined already
    subject.replay_over_damage(2)
    assert 20 <= numbers_dead(subject) <= 40  # a delivery, or two that the damage touches
    subject.await_reason("storage", "put a copy of that file back", ready=True)
    assert subject.appliance.stop() == 0
    assert subject.findings() != []


@pytest.mark.parametrize("how", ["torn", pytest.param("truncated", marks=pytest.mark.slow)])
def test_the_end_of_the_open_segment_gives_out_no_number_twice(subject: Subject, how: str) -> None:
    """Acknowledged events are gone with the disk's bytes: their rows stay, and new ones are not taken for them."""
    killed(subject)
    whole = hurt(open_segment(subject), how)
    name = open_segment(subject).name
    subject.appliance.start()
    subject.await_reason("storage", "are not there any more", ready=True)
    subject.send(100)
    subject.check()
    assert subject.appliance.stop() == 0
    assert subject.findings() != []

    (subject.bronze / name).write_bytes(whole)  # a copy mends it
    subject.appliance.start()
    until(lambda: "not there any more" not in subject.readiness()["storage"][1], subject.readiness)
    subject.replay(2)
    subject.check()
    subject.verify()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["torn", "truncated"])
def test_the_manifest_of_one_pipeline_keeps_no_other_from_starting(subject: Subject, how: str) -> None:
    subject.appliance.start()
    other, secret = subject.appliance.create_pipeline("other", document(1)["mapping"])
    subject.appliance.stop()
    manifest = subject.bronze / "manifest.jsonl"
    whole = hurt(manifest, how)
    subject.appliance.start()
    subject.await_reason("receiving", "restore manifest.jsonl of this pipeline from a backup")
    body = b'[{"number":1}]'
    with subject.appliance.client() as client:
        answer = client.post(f"/in/{other}", content=body, headers=standard_headers(secret, "one", body))
        assert answer.status_code == 202
        assert subject.appliance.wait_refined(other)["stored"] == 1
        answer = client.post(subject.door, content=body, headers=standard_headers(subject.secret, "new", body))
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert subject.appliance.stop() == 0
    assert "restore manifest.jsonl" in " ".join(one["remedy"] for one in subject.findings())
    manifest.write_bytes(whole)
    subject.appliance.start()
    subject.check()
    subject.verify()


def test_what_can_be_made_again_is(subject: Subject) -> None:
    """Indexes, notes of a good end and of damage, and a line in the middle of the manifest."""
    for path, how in zip(sorted(subject.bronze.glob("*.idx")), HURT, strict=False):
        hurt(path, how)
    for note in [*subject.bronze.glob("*.rest")]:
        hurt(note, "flipped")
    (subject.bronze / "quarantine.json").write_bytes(b"\0" * 100)
    subject.appliance.start()
    subject.check()
    subject.replay(2)
    subject.send(100)
    subject.check()


@pytest.mark.parametrize(
    "how", ["torn", pytest.param("truncated", marks=pytest.mark.slow), pytest.param("header", marks=pytest.mark.slow)]
)
def test_a_file_of_rows_that_does_not_open_is_made_again_from_the_log(subject: Subject, how: str) -> None:
    if how == "header":
        subject.silver.write_bytes(bytes(64) + subject.silver.read_bytes()[64:])
    else:
        hurt(subject.silver, how)
    subject.appliance.start()
    subject.await_reason("storage", "is damaged", ready=True)
    subject.send(100)
    subject.check()
    subject.verify()


@pytest.mark.slow
def test_rows_that_rot_within_the_file_are_made_again_by_hand(subject: Subject) -> None:
    """A flipped bit in a block of rows: whoever reads it hears what to do, and doing it helps."""
    rot_rows(subject)
    subject.appliance.start()
    with pytest.raises(httpx.HTTPStatusError) as refused:
        subject.rows()
    assert refused.value.response.status_code == 500
    assert "move the organisation's file in silver/ away and start again" in refused.value.response.text
    subject.await_reason("storage", "does not read as a whole", ready=True)
    subject.send(100)  # receiving does not need it
    subject.replay(2)  # the one way: into new rows, while it runs
    subject.check()
    subject.verify()
    for file in subject.silver.parent.glob(f"{subject.silver.name}*"):  # the other: away with the file
        file.unlink()
    subject.version = 2
    subject.appliance.start()
    subject.check()
    subject.verify()


@pytest.mark.slow
@pytest.mark.parametrize("how", HURT)
def test_the_log_of_the_rows(subject: Subject, how: str) -> None:
    """DuckDB's own: what its last commits were is refined again."""
    killed(subject)
    hurt(subject.silver.with_name(f"{subject.silver.name}.wal"), how)
    subject.appliance.start()
    subject.check()
    subject.verify()


@pytest.mark.parametrize("how", ["flipped", pytest.param("torn", marks=pytest.mark.slow)])
def test_the_log_of_the_control_plane(subject: Subject, how: str) -> None:
    killed(subject)
    hurt(subject.control.with_name("control.sqlite3-wal"), how)
    subject.appliance.start()
    subject.check()
    subject.verify()


@pytest.mark.parametrize("how", ["truncated", pytest.param("torn", marks=pytest.mark.slow)])
def test_a_control_plane_that_is_gone_is_not_begun_anew_beside_events(subject: Subject, how: str) -> None:
    whole = hurt(subject.control, how)
    with pytest.raises(RuntimeError, match=r"error: .*put control.sqlite3 back from a copy"):
        subject.appliance.start()
    subject.control.write_bytes(whole)
    subject.appliance.start()
    subject.check()
    subject.verify()


def test_the_control_a_row_that_somebody_removed(subject: Subject) -> None:
    with duckdb.connect(str(subject.silver)) as rows:
        rows.execute(f'DELETE FROM "rows_{subject.pipeline_id}" WHERE number = 1234')
    subject.appliance.start()
    with pytest.raises(AssertionError):
        subject.check()
    assert subject.appliance.stop() == 0
    assert [one["where"] for one in subject.findings()] == [f"silver {subject.pipeline_id}"]


def test_the_control_an_event_that_somebody_forged(subject: Subject) -> None:
    """Whole by every checksum within: only the rows, and the hash in the manifest, tell."""
    segment = min(subject.bronze.glob("*.jsonl.zst"))
    plain = zstandard.ZstdDecompressor().stream_reader(segment.read_bytes(), read_across_frames=True).read()
    header, rest = plain.split(b"\n", 1)
    lines = rest.split(b"\n", json.loads(header)["n"])
    lines[0] = lines[0].replace(b'"number": 0', b'"number": 7')
    start = header[: header.index(b',"crc"')]
    crc = crc32(b"".join(line + b"\n" for line in lines[:-1]), crc32(start))
    forged = b'%b,"crc":"%08x"}\n%b' % (start, crc, b"\n".join(lines))
    segment.write_bytes(zstandard.ZstdCompressor().compress(forged))
    segment.with_name(segment.name.replace(".jsonl.zst", ".idx")).unlink()
    subject.appliance.start()
    subject.replay(2)
    with pytest.raises(AssertionError):
        subject.check()
    assert subject.appliance.stop() == 0
    assert [one["where"].split()[-1] for one in subject.findings()] == [segment.name]


@pytest.mark.slow
def test_the_control_a_log_that_somebody_took_away(subject: Subject) -> None:
    shutil.rmtree(subject.bronze)
    subject.appliance.start()
    until(lambda: "cannot be read" in subject.readiness()["storage"][1], subject.readiness)
    subject.send(100)
    subject.check()  # the rows are there, and the new ones beside them
    assert subject.appliance.stop() == 0
    assert subject.findings() != []
