"""What a process uses at one moment of what it may use: memory, files, threads, queues, connections."""

import msgspec


class Share(msgspec.Struct, frozen=True):
    """Memory that one part may use; most of the time it uses far less."""

    name: str
    most_bytes: int


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """``most_bytes``: of the machine, or less where a control group allows less; ``shares``: bounds of DuckDB in it."""

    resident_bytes: int
    most_bytes: int
    shares: list[Share]


class Pool(msgspec.Struct, frozen=True):
    """Threads for one kind of work. ``waiting``: work for which no thread is free."""

    name: str
    threads: int
    busy: int
    waiting: int


class Queue(msgspec.Struct, frozen=True):
    """What is held for a while. ``most`` None: not bounded by itself; ``unit``: bytes, or what is counted."""

    name: str
    held: int
    most: int | None
    unit: str


class Connected(msgspec.Struct, frozen=True):
    """Connections to a database. ``waiting``: who waits for one; None: not known."""

    name: str
    used: int
    idle: int
    most: int
    waiting: int | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """``connections``: none where there is no database but the files of the data directory."""

    memory: Memory
    open_files: int
    most_open_files: int
    pools: list[Pool]
    queues: list[Queue]
    connections: list[Connected]
