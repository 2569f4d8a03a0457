"""Units by name: ``temp_c`` is in °C, ``durationMs`` in ms, ``lat`` in degrees."""

import re
from typing import Final

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_UNITS: Final = {
    "celsius": "°C", "fahrenheit": "°F", "kelvin": "K", "degc": "°C", "degf": "°F",
    "ns": "ns", "us": "µs", "ms": "ms", "millis": "ms", "msec": "ms", "sec": "s", "secs": "s", "seconds": "s",
    "min": "min", "mins": "min", "minutes": "min", "hours": "h", "hrs": "h", "days": "d",
    "byte": "B", "bytes": "B", "kb": "kB", "mb": "MB", "gb": "GB", "tb": "TB", "kib": "KiB", "mib": "MiB", "gib": "GiB",
    "bps": "bit/s", "kbps": "kbit/s", "mbps": "Mbit/s",
    "pct": "%", "percent": "%", "percentage": "%",
    "lat": "°", "latitude": "°", "lon": "°", "lng": "°", "long": "°", "longitude": "°", "deg": "°", "degrees": "°",
    "volt": "V", "volts": "V", "mv": "mV", "kv": "kV", "amp": "A", "amps": "A", "ma": "mA",
    "watt": "W", "watts": "W", "kw": "kW", "mw": "MW", "wh": "Wh", "kwh": "kWh", "mwh": "MWh", "kva": "kVA",
    "hz": "Hz", "khz": "kHz", "mhz": "MHz", "ghz": "GHz", "rpm": "rpm",
    "pa": "Pa", "hpa": "hPa", "kpa": "kPa", "mbar": "mbar", "bar": "bar", "psi": "psi",
    "mm": "mm", "cm": "cm", "km": "km", "meters": "m", "metres": "m", "kg": "kg", "grams": "g", "tons": "t",
    "ml": "mL", "liters": "L", "litres": "L", "m3": "m³", "lpm": "L/min",
    "kmh": "km/h", "kph": "km/h", "mph": "mph", "mps": "m/s", "db": "dB", "dbm": "dBm", "lux": "lx", "ppm": "ppm",
    "ppb": "ppb", "ohm": "Ω", "ohms": "Ω", "eur": "EUR", "usd": "USD", "gbp": "GBP", "cents": "ct",
}  # fmt: skip

# A single letter is a unit only behind a word that it fits: vitamin_c is no temperature.
_LETTERS: Final = {
    "c": ("°C", {"temp", "temperature", "dew", "dewpoint", "setpoint", "ambient", "coolant", "heat"}),
    "f": ("°F", {"temp", "temperature", "dew", "dewpoint", "setpoint", "ambient", "coolant", "heat"}),
    "k": ("K", {"temp", "temperature"}),
    "s": ("s", {"duration", "time", "elapsed", "uptime", "latency", "timeout", "interval", "age", "runtime", "delay"}),
    "h": ("h", {"duration", "uptime", "runtime", "age", "operating"}),
    "m": ("m", {"distance", "height", "altitude", "alt", "depth", "length", "width", "elevation", "level", "range"}),
    "v": ("V", {"voltage", "volt", "battery", "supply", "bat", "bus", "input", "output", "u"}),
    "a": ("A", {"current", "i", "load"}),
    "w": ("W", {"power", "load", "p", "consumption"}),
    "g": ("g", {"weight", "mass"}),
    "l": ("L", {"volume", "tank", "fuel"}),
}


def words_of(name: str) -> list[str]:
    """Return the words that ``name`` is made of, in lower case: ``durationMs`` and ``duration_ms`` have the same."""
    return [word.lower() for word in _WORDS.findall(name)]


def unit_of(name: str) -> str | None:
    """Return the unit that ``name`` ends with; None where it names none."""
    words = words_of(name)
    if not words:
        return None
    last = "m3" if words[-2:] == ["m", "3"] else words[-1]
    if last in _LETTERS:
        unit, context = _LETTERS[last]
        return unit if context.intersection(words[:-1]) else None
    return _UNITS.get(last)
