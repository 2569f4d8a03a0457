"""The mapping document that fits the events of ``host_metrics``: what the sample workspace uses."""

from typing import Any

_FIELDS = {
    "host": ("string", None),
    "cpu_percent": ("float", "%"),
    "cpu_count": ("integer", None),
    "load_1m": ("float", None),
    "load_5m": ("float", None),
    "load_15m": ("float", None),
    "mem_percent": ("float", "%"),
    "mem_used_bytes": ("integer", "B"),
    "mem_available_bytes": ("integer", "B"),
    "mem_total_bytes": ("integer", "B"),
    "swap_used_bytes": ("integer", "B"),
    "swap_total_bytes": ("integer", "B"),
    "disk_percent": ("float", "%"),
    "disk_used_bytes": ("integer", "B"),
    "disk_free_bytes": ("integer", "B"),
    "disk_total_bytes": ("integer", "B"),
    "disk_read_bytes_per_sec": ("float", "B/s"),
    "disk_write_bytes_per_sec": ("float", "B/s"),
    "net_in_bytes_per_sec": ("float", "B/s"),
    "net_out_bytes_per_sec": ("float", "B/s"),
    "processes": ("integer", None),
    "uptime_secs": ("integer", "s"),
    "temperature_celsius": ("float", "°C"),
    "cpu_cores_percent": ("json", "%"),
}

HOST_METRICS_MAPPING: dict[str, Any] = {
    "time": {"path": "$.ts", "format": "rfc3339"},
    "fields": [
        {"name": name, "path": f"$.{name}", "type": type_, **({"unit": unit} if unit else {})}
        for name, (type_, unit) in _FIELDS.items()
    ],
    "unmapped": "drop",
}
