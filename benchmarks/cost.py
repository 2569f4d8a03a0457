"""What processes have cost: processor time, by the kernel's own account, whoever else was on the machine."""

import psutil


def spent(*pids: int) -> float:
    """Return the processor seconds of processes so far, with those of their children, living and gone."""
    return sum(_of(psutil.Process(pid)) for pid in pids)


def busy(core: int) -> float:
    """Return the seconds since the start that a core was at work for anybody, or was withheld from this machine."""
    times = psutil.cpu_times(percpu=True)[core]
    worked: float = times.user + times.nice + times.system + times.irq + times.softirq + times.steal
    return worked


def _of(process: psutil.Process) -> float:
    own = process.cpu_times()
    total: float = own.user + own.system + own.children_user + own.children_system
    for child in process.children():
        try:
            total += _of(child)
        except psutil.NoSuchProcess:  # gone between being listed and being asked; its parent has what it cost
            continue
    return total
