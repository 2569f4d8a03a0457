"""Host metrics: how busy this very machine is, one event a sample. Live data also where there is no network."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import msgspec
import psutil
from msgspec import Meta

from appliance.components.resources import Resources
from appliance.components.source import Page, PullSource
from appliance.domain.clock import Clock
from appliance.domain.quantity import Duration, parse_duration
from appliance.domain.schedule import Every

_STALE = timedelta(minutes=5)  # a reading older than this would smooth a rate beyond recognition


class HostMetricsConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="host_metrics", kw_only=True
):
    """CPU, memory, disk and network of the machine that Dash runs on."""

    interval: Annotated[
        Duration,
        Meta(
            title="Interval",
            description="Time between two samples",
            examples=["1s"],
            extra={"min": "200ms", "max": "1h"},
        ),
    ] = "1s"
    per_core: Annotated[bool, Meta(title="Per core", description="Also tell how busy each core is")] = False
    disk_path: Annotated[
        str, Meta(title="Disk", description="A path on the disk whose space is told", min_length=1, examples=["/var"])
    ] = "/"


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of the machine at one moment; two of them make a sample. ``at``: seconds of a monotonic clock."""

    at: float
    cores: list[tuple[float, float]]  # of each core: seconds busy, seconds in all, since it was started
    read_bytes: int
    written_bytes: int
    received_bytes: int
    sent_bytes: int


class HostMetrics:
    """Reads psutil in a thread. The first poll only notes the counters: a rate needs two readings."""

    def __init__(self, config: HostMetricsConfig, resources: Resources) -> None:
        self._config = config
        self._clock: Clock = resources.clock
        self._schedule = Every(parse_duration(config.interval))
        self._before: Reading | None = None

    @property
    def schedule(self) -> Every:
        return self._schedule

    async def poll(self, checkpoint: dict[str, Any] | None) -> AsyncIterator[Page]:
        """See ``PullSource.poll``. One page of one event; none where there is no fresh earlier reading."""
        before, now = self._before, self._clock()
        self._before = after = await asyncio.to_thread(read)
        if before is None or not 0 < after.at - before.at <= _STALE.total_seconds() + self._pace:
            return
        levels = await asyncio.to_thread(_levels, self._config.disk_path)
        event = {"ts": now.isoformat(timespec="milliseconds"), **rates(before, after), **levels}
        if self._config.per_core:
            event["cpu_cores_percent"] = _busy(before, after)
        yield Page([msgspec.json.encode(event)])

    @property
    def _pace(self) -> float:
        return self._schedule.interval.total_seconds()


def read() -> Reading:
    """Return the counters as they stand; blocking, about a millisecond."""
    disks = psutil.disk_io_counters(perdisk=False)
    networks = [counters for name, counters in psutil.net_io_counters(pernic=True).items() if name != "lo"]
    return Reading(
        at=time.monotonic(),
        cores=[_core(times) for times in psutil.cpu_times(percpu=True)],
        read_bytes=disks.read_bytes if disks else 0,  # None where the kernel shows no disks, as in some containers
        written_bytes=disks.write_bytes if disks else 0,
        received_bytes=sum(counters.bytes_recv for counters in networks),
        sent_bytes=sum(counters.bytes_sent for counters in networks),
    )


def rates(before: Reading, after: Reading) -> dict[str, float]:
    """Return what happened between two readings, as percent and bytes a second; never negative."""
    elapsed = after.at - before.at
    busy = _busy(before, after)
    return {
        "cpu_percent": round(sum(busy) / len(busy), 2) if busy else 0.0,
        "disk_read_bytes_per_sec": _rate(before.read_bytes, after.read_bytes, elapsed),
        "disk_write_bytes_per_sec": _rate(before.written_bytes, after.written_bytes, elapsed),
        "net_in_bytes_per_sec": _rate(before.received_bytes, after.received_bytes, elapsed),
        "net_out_bytes_per_sec": _rate(before.sent_bytes, after.sent_bytes, elapsed),
    }


def _busy(before: Reading, after: Reading) -> list[float]:
    """Return the percentage that each core was busy; 0 for one whose counters did not move."""
    pairs = zip(before.cores, after.cores, strict=False)  # a core may have been switched off meanwhile
    return [
        round(min(100.0, max(0.0, 100.0 * (busy - old_busy) / (total - old_total))), 2) if total > old_total else 0.0
        for (old_busy, old_total), (busy, total) in pairs
    ]


def _core(times: Any) -> tuple[float, float]:
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted in user and nice already
    total = sum(times) - guest
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _rate(before: int, after: int, elapsed: float) -> float:
    return round(max(0, after - before) / elapsed, 1)


def _levels(disk_path: str) -> dict[str, Any]:
    """Return what can be told from one moment; blocking. Null: this machine does not tell."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    load = psutil.getloadavg()
    return {
        "host": socket.gethostname(),
        "cpu_count": psutil.cpu_count() or 1,
        "load_1m": round(load[0], 2),
        "load_5m": round(load[1], 2),
        "load_15m": round(load[2], 2),
        "mem_percent": memory.percent,
        "mem_used_bytes": memory.total - memory.available,
        "mem_available_bytes": memory.available,
        "mem_total_bytes": memory.total,
        "swap_used_bytes": swap.used,
        "swap_total_bytes": swap.total,
        **_disk(disk_path),
        "processes": len(psutil.pids()),
        "uptime_secs": int(time.time() - psutil.boot_time()),
        "temperature_celsius": _temperature(),
    }


def _disk(path: str) -> dict[str, Any]:
    try:
        disk = psutil.disk_usage(path)
    except OSError:  # unmounted, or not for us to see: the other values still count
        return dict.fromkeys(("disk_percent", "disk_used_bytes", "disk_free_bytes", "disk_total_bytes"))
    return {
        "disk_percent": disk.percent,
        "disk_used_bytes": disk.used,
        "disk_free_bytes": disk.free,
        "disk_total_bytes": disk.total,
    }


def _temperature() -> float | None:
    """Return the warmest of the processor's sensors, of any sensor where it has none."""
    sensors: dict[str, Any] = getattr(psutil, "sensors_temperatures", dict)()
    processor = [entries for name, entries in sensors.items() if name in ("coretemp", "k10temp", "cpu_thermal")]
    found = [entry.current for entries in processor or sensors.values() for entry in entries if entry.current]
    return round(max(found), 1) if found else None


_: type[PullSource] = HostMetrics
