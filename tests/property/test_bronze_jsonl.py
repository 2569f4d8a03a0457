"""Whatever is sent comes back byte for byte; wherever the file is cut or changed, it is noticed."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.ids import PipelineId
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.reader import Reader
from appliance.storage.bronze.verify import Verification
from tests.fakes.segments import compact_all, events, open_log, packed

PIPE = PipelineId("pl")
SEGMENT = "00000000000000000001.jsonl"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
breaks = st.sampled_from([None, 1, "\t", "\n", "\r\n"])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Return a JSON document as somebody may write it: on one line, on many, or with carriage returns."""
    indent = draw(breaks)
    separators = (",", ":") if draw(st.booleans()) else None
    return json.dumps(draw(values), indent=indent, separators=separators, ensure_ascii=draw(st.booleans())).encode(
        "utf-8", "replace"
    )


deliveries = st.lists(st.lists(documents() | st.binary(max_size=20), max_size=6), min_size=1, max_size=8)
batches = st.lists(deliveries, min_size=1, max_size=4)


def write(log: PipelineLog, sent: list[list[list[bytes]]]) -> list[bytes]:
    """Commit each batch of deliveries; return all payloads in order."""
    for batch in sent:
        log.commit([packed(*payloads, checkpoint={"at": len(payloads)}) for payloads in batch])
    return [payload for batch in sent for payloads in batch for payload in payloads]


def spaced(payload: bytes) -> bytes:
    return payload.replace(b"\r", b" ").replace(b"\n", b" ")


@settings(deadline=None, max_examples=40)
@given(batches, st.integers(1, 2000), st.booleans(), st.integers(1, 7), st.integers(1, 60))
def test_any_payloads_come_back_verbatim(
    sent: list[list[list[bytes]]], segment_bytes: int, compress: bool, max_events: int, max_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder), segment_bytes=segment_bytes)
        payloads = write(log, sent)
        if compress:
            compact_all(log)
        reader = Reader(log, Blockstore())
        assert [reader.event(PIPE, seq).payload for seq in range(1, len(payloads) + 1)] == payloads
        assert [line for _, line in events(log)] == [spaced(payload) for payload in payloads]
        after, lines = 0, []
        while frames := reader.read(after, max_events, max_bytes):
            assert sum(frame.count for frame in frames) <= max_events
            assert len(frames) == frames[0].count == 1 or sum(len(frame.lines) for frame in frames) <= max_bytes
            assert frames[0].first_seq == after + 1
            lines += [line for frame in frames for line in frame.lines.split(b"\n")]
            after = frames[-1].last_seq
        assert lines == [spaced(payload) for payload in payloads]
        assert list(Verification(PIPE, log).findings()) == []
        log.close()
        again = open_log(Path(folder))
        assert (again.last_seq, again.checkpoint, again.cut_bytes) == (len(payloads), log.checkpoint, 0)


@settings(deadline=None, max_examples=40)
@given(batches, st.data())
def test_any_cut_leaves_a_prefix_of_whole_deliveries(sent: list[list[list[bytes]]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder))
        write(log, sent)
        log.park()
        path = Path(folder) / SEGMENT
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut] + bytes(data.draw(st.sampled_from([0, 1, 5000]))))
        again = open_log(Path(folder))
        kept = path.read_bytes()
        assert whole.startswith(kept)
        assert len(kept) + again.cut_bytes == len(whole[:cut].rstrip(b"\0"))
        deliveries = [[spaced(payload) for payload in payloads] for batch in sent for payloads in batch]
        told = [line for _, line in events(again)]
        prefixes = [[line for lines in deliveries[:end] for line in lines] for end in range(len(deliveries) + 1)]
        assert told in prefixes
        assert again.commit([packed(b"next")]) == [len(told) + 1]
        assert list(Verification(PIPE, again).findings()) == []
        again.park()


@settings(deadline=None, max_examples=40)
@given(batches, st.booleans(), st.data())
def test_any_changed_byte_is_found(sent: list[list[list[bytes]]], compress: bool, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = open_log(Path(folder), segment_bytes=1 if compress else 1 << 20)
        write(log, [*sent, [[b"1"]], [[b"2"]]])  # at least one event in the first segment that holds any
        if compress:
            compact_all(log)
        log.park()
        names = {segment.name for segment in log.segments()}
        path = Path(folder) / data.draw(st.sampled_from(sorted(names)))
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(content)
        assert {finding.segment for finding in Verification(PIPE, log).findings()} == {path.name}
