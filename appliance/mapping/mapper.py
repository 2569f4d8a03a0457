"""Runs compiled mappings over frames, in a DuckDB of its own that holds nothing between two runs."""

from collections.abc import Sequence

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.arrow import DEAD_SCHEMA
from appliance.components.mapper import Mapped
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping
from appliance.domain.partition import spoken
from appliance.errors import FatalError
from appliance.mapping import sandbox
from appliance.mapping.answers import DAMAGED_WORDS, DEAD, DRIFT, FILTERED, ROW, SHAPE, STATE
from appliance.mapping.compiled import CompiledMapping, compile_mapping
from appliance.mapping.frames import check_lines, damaged_to_arrow, halves, pieces, to_arrow, withdrawn
from appliance.mapping.session import Session
from appliance.mapping.shapes import Shapes

# What an event's values can cause; anything else is a fault of the query, which no smaller batch would mend.
_CAUSED_BY_DATA = (duckdb.OutOfMemoryException, duckdb.DataError, duckdb.InvalidInputException)

# An event of some bytes may explode into many rows: a batch is mapped bit by bit until its rows are enough.
_PIECE_BYTES = 1 << 20
_MOST_ROW_BYTES = 64 << 20
_NO_SEQS = pa.array([], pa.int64())


class Mapper:
    """One in-memory DuckDB for all pipelines. ``run`` may be called from several threads at once."""

    def __init__(self, threads: int = 1, memory_limit: str = "512MB") -> None:
        """``threads``: cores that one run may use; ``memory_limit``: of all runs together, as DuckDB writes it."""
        self._threads = threads
        self._memory_limit = memory_limit
        self._connection = sandbox.connect(threads, memory_limit)
        sandbox.lend(self._connection)
        self._idle: list[Session] = []
        self._shapes = Shapes()

    def compile(self, mapping: Mapping) -> CompiledMapping:
        """See ``compile_mapping``."""
        return compile_mapping(mapping)

    def run(self, compiled: CompiledMapping, frames: Sequence[Frame], version: int = 0) -> Mapped:
        """Map the events of ``frames``: at least one event, numbered without a gap.

        Of a mapping that explodes it may be only the first of them, where their rows are very many: ``last_seq`` of the
        answer says how far it goes. Of a frozen mapping it ends before the first event that drifts from it.

        ``version`` of the mapping goes into the dead letters. The answer depends on the mapping and the events alone.
        An event that by itself exceeds what mapping may use becomes a dead letter; its neighbours do not notice.

        Raises:
            FatalError: the query does not run at all, or a frame is not what Bronze promises.
        """
        if not compiled.explodes:
            return self._run(compiled, frames, version)
        parts: list[Mapped] = []
        for piece in pieces(frames, _PIECE_BYTES):
            parts.append(self._run(compiled, piece, version))
            if parts[-1].stopped or sum(part.rows.nbytes for part in parts) > _MOST_ROW_BYTES:
                break
        return _joined(parts)

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        while self._idle:
            self._idle.pop().close()
        self._connection.close()

    def _run(self, compiled: CompiledMapping, frames: Sequence[Frame], version: int) -> Mapped:
        session = self._session()
        try:
            mapped = _mapped(session, self._shapes, compiled, frames, version)
        except _CAUSED_BY_DATA as error:
            session.close()
            check_lines(frames)
            return self._mapped_in_parts(compiled, frames, version, error)
        except duckdb.Error as error:
            session.close()
            # An internal error leaves DuckDB unusable; the other pipelines go on with a new one.
            self._idle, self._connection = [], sandbox.connect(self._threads, self._memory_limit)
            sandbox.lend(self._connection)
            told = f"mapping events from {frames[0].first_seq} on failed: {error}"
            raise FatalError(told, hint="change the mapping; if that does not help, report the message") from error
        self._idle.append(session)
        return mapped

    def _session(self) -> Session:
        try:
            return self._idle.pop()
        except IndexError:  # asking first and popping then would let two threads have the last one
            return Session(self._connection)

    def _mapped_in_parts(
        self, compiled: CompiledMapping, frames: Sequence[Frame], version: int, error: duckdb.Error
    ) -> Mapped:
        if sum(frame.count for frame in frames) > 1:
            first, second = halves(frames)
            begun = self._run(compiled, first, version)
            return begun if begun.stopped else _joined([begun, self._run(compiled, second, version)])
        # Neighbouring runs may have used the memory up: in a database of its own the event has all of it.
        try:
            with sandbox.connect(1, self._memory_limit) as connection, Session(connection) as alone:
                return _mapped(alone, self._shapes, compiled, frames, version)
        except _CAUSED_BY_DATA:
            return _given_up(compiled, frames[0], version, error)


def _mapped(
    session: Session, shapes: Shapes, compiled: CompiledMapping, frames: Sequence[Frame], version: int
) -> Mapped:
    readable = [frame for frame in frames if frame.damaged is None]
    rows, dead_seqs, reason, end = compiled.schema.empty_table(), _NO_SEQS, None, frames[-1].last_seq + 1
    dead = DEAD_SCHEMA.empty_table()
    if readable:
        given = to_arrow(readable)
        rows, dead_seqs, adrift = _judged(session, shapes, given, session.answer(compiled.sql, given), readable)
        if len(dead_seqs):
            dead = _words(session, compiled.words_sql, given, dead_seqs, version)
        if adrift is not None:
            end, reason = adrift, _reason(_words(session, compiled.words_sql, given, pa.array([adrift]), version))
    if len(readable) < len(frames):
        lost = _dead_letters(session.answer(DAMAGED_WORDS, damaged_to_arrow(frames)), version)
        lost = lost.filter(pc.less(lost.column("seq"), end))
        dead = pa.concat_tables([dead, lost]).sort_by([("seq", "ascending"), ("item", "ascending")])
        dead_seqs = pc.unique(dead.column("seq"))
    total = sum(frame.count for frame in frames)
    if reason is not None:
        total = sum(min(frame.count, max(0, end - frame.first_seq)) for frame in frames)
    outcome = _outcome(compiled, rows, dead_seqs, total)
    return Mapped(rows.cast(compiled.schema), dead, outcome, frames[0].first_seq, end - 1, reason)


def _judged(
    session: Session, shapes: Shapes, given: pa.Table, found: pa.Table, frames: Sequence[Frame]
) -> tuple[pa.Table, pa.Array, int | None]:
    """Return the rows, the events that are dead, and the event before which a frozen mapping stops.

    ``given``: ``frames`` as the query had them; ``found``: what it answered.
    """
    state, seqs = found.column(STATE), found.column("_seq")
    ambiguous = shapes.ambiguous(session, given, found)
    if len(ambiguous):
        state = pc.if_else(pc.is_in(found.column(SHAPE), ambiguous), pa.scalar(DEAD, pa.int8()), state)
    if any(frame.withdrawn for frame in frames):
        state = pc.if_else(pc.is_in(seqs, withdrawn(frames)), pa.scalar(FILTERED, pa.int8()), state)
    rows, adrift = found.drop_columns([STATE, SHAPE]), None
    worst = pc.max(state).as_py() or ROW  # None: every event has exploded into nothing
    if worst == ROW:
        return rows, _NO_SEQS, adrift
    keep = pc.equal(state, ROW)
    dead = pc.equal(state, DEAD)
    if worst == DRIFT:
        adrift = pc.min(seqs.filter(pc.equal(state, DRIFT))).as_py()
        before = pc.less(seqs, adrift)
        keep, dead = pc.and_(keep, before), pc.and_(dead, before)
    return rows.filter(keep), pc.unique(seqs.filter(dead)), adrift


def _words(session: Session, query: str, given: pa.Table, seqs: pa.Array, version: int) -> pa.Table:
    return _dead_letters(session.answer(query, given, dead=pa.table({"seq": seqs})), version)


def _reason(told: pa.Table) -> str:
    """Return why refining stops, from the words about the event that drifts."""
    problems = [problem for text in told.column("problems").to_pylist() for problem in msgspec.json.decode(text)]
    drift = next(problem["message"] for problem in problems if problem["reason"] == "contract")
    seq = told.column("seq")[0].as_py()
    return f"event {spoken(seq)} differs from the mapping and its contract is 'freeze': {drift}"


def _dead_letters(told: pa.Table, version: int) -> pa.Table:
    versions = pa.repeat(pa.scalar(version, pa.int32()), told.num_rows)
    return told.append_column("version", versions).cast(DEAD_SCHEMA)


def _outcome(compiled: CompiledMapping, rows: pa.Table, dead_seqs: pa.Array, total: int) -> Outcome:
    stored = rows.num_rows
    if compiled.explodes:
        with_rows = pc.unique(rows.column("_seq"))
        stored = len(with_rows) - (pc.sum(pc.is_in(with_rows, dead_seqs)).as_py() or 0)
    return Outcome(stored=stored, filtered=total - stored - len(dead_seqs), dead=len(dead_seqs))


def _joined(parts: Sequence[Mapped]) -> Mapped:
    return Mapped(
        pa.concat_tables([part.rows for part in parts]),
        pa.concat_tables([part.dead for part in parts]),
        sum((part.outcome for part in parts), Outcome()),
        parts[0].first_seq,
        parts[-1].last_seq,
        parts[-1].stopped,
    )


def _given_up(compiled: CompiledMapping, frame: Frame, version: int, error: duckdb.Error) -> Mapped:
    if frame.withdrawn:
        nothing = DEAD_SCHEMA.empty_table()
        return Mapped(compiled.schema.empty_table(), nothing, Outcome(filtered=1), frame.first_seq, frame.last_seq)
    message = f"the event needs more than mapping may use: {str(error).splitlines()[0][:200]}"
    problem = {"reason": "limit", "field": None, "value": None, "message": message}
    letter = {
        **problem,
        "seq": frame.first_seq,
        "item": 0,
        "problems": msgspec.json.encode([problem]).decode(),
        "received_at": frame.received_us,
    }
    columns = {field.name: [letter[field.name]] for field in DEAD_SCHEMA if field.name in letter}
    dead = _dead_letters(pa.table(columns, DEAD_SCHEMA.remove(len(DEAD_SCHEMA) - 1)), version)
    return Mapped(compiled.schema.empty_table(), dead, Outcome(dead=1), frame.first_seq, frame.last_seq)
