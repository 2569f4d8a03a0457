"""What processes have cost: processor time, by the kernel's own account, whoever else was on the machine."""

from pathlib import Path

import psutil

from tests.postgres import PostgresServer


def spent(*pids: int) -> float:
    """Return the processor seconds of processes so far, with those of their children, living and gone."""
    return sum(_of(psutil.Process(pid)) for pid in pids)


def of_server(server: PostgresServer) -> float:
    """Return the processor seconds of a server so far: connections, writers, cleaners."""
    return spent(server.pid)


def queued(pid: int) -> float:
    """Return the seconds that the threads of a process were ready to run and had no core."""
    return sum(int(file.read_text().split()[1]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _of(process: psutil.Process) -> float:
    own = process.cpu_times()
    total: float = own.user + own.system + own.children_user + own.children_system
    for child in process.children():
        try:
            total += _of(child)
        except psutil.NoSuchProcess:  # gone between being listed and being asked; its parent has what it cost
            continue
    return total
