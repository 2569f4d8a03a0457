"""``docs/reference/metrics.md``: every metric, found where the code names it: name and help, literal, side by side."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from handbook.sources import ROOT

_NAME: Final = re.compile(r"dash_[a-z0-9_]+")
_BEGIN: Final = re.compile(r"dash_[a-z]+_")
_HEAD: Final = """# Metrics

Generated from the code by `make docs`. `GET /metrics` answers them in the text format of Prometheus, without signing
in. What to watch, and what is worth an alert, is in [monitoring](../handbook/monitoring.md). Beside these there are the
`process_*` and `python_info` metrics of the process.

A metric whose part an installation does not have (an archive, a database, replicas, other nodes) is not there.
"""


class Told(NamedTuple):
    """One metric as the code declares it; ``labels``: in order."""

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    path: str


def metrics(root: Path = ROOT) -> list[Told]:
    """Return every metric of the product, each once, by name."""
    found: dict[str, Told] = {}
    for folder in ("appliance", "license"):
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text("utf-8")
            if "dash_" in text:
                found |= {one.name: one for one in _declared(ast.parse(text), path.relative_to(root).as_posix())}
    return [found[name] for name in sorted(found)]


def page() -> str:
    """Return the Markdown page."""
    groups: dict[str, list[Told]] = {}
    for one in metrics():
        groups.setdefault(one.name.split("_")[1], []).append(one)
    parts = [_HEAD]
    for group, told in groups.items():
        parts.append(f"\n## dash_{group}\n\n| metric | type | labels | what it tells |\n|---|---|---|---|\n")
        for one in told:
            labels = ", ".join(f"`{label}`" for label in one.labels)
            parts.append(f"| `{one.name}` | {one.kind} | {labels} | {one.help} |\n")
    return "".join(parts)


def _declared(tree: ast.Module, path: str) -> Iterator[Told]:
    texts = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    begins = ("", *_prefixes(tree))
    for node in ast.walk(tree):
        pair = next(filter(None, (_pair(node, texts, begin) for begin in begins)), None)
        if pair is None:
            continue
        name, told = pair
        labels = _labels(node, texts) if isinstance(node, ast.Call) else ()
        yield Told(name, _kind(node, name), told, labels, path)


def _prefixes(tree: ast.Module) -> Iterator[str]:
    """Yield what names begin with where a list holds only their ends: ``Family(f"dash_backup_{name}", …)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(first := node.args[0], ast.JoinedStr):
            begin = first.values[0]
            if isinstance(begin, ast.Constant) and _BEGIN.fullmatch(str(begin.value)):
                yield str(begin.value)


def _pair(node: ast.AST, texts: dict[str, ast.expr], begin: str) -> tuple[str, str] | None:
    """Return name and help where ``node`` begins with both: a call, or an entry of a list of metrics."""
    first = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
    if len(first) < 2 or not isinstance(first[0], ast.Constant) or not isinstance(first[0].value, str):
        return None
    name, told = begin + first[0].value, first[1]
    if isinstance(told, ast.Name):
        told = texts.get(told.id, told)
    if not _NAME.fullmatch(name) or not isinstance(told, ast.Constant) or " " not in str(told.value):
        return None
    return name, str(told.value)


def _labels(call: ast.Call, texts: dict[str, ast.expr]) -> tuple[str, ...]:
    given = [word.value for word in call.keywords if word.arg == "labels"] + call.args[2:3]
    listed = given[0] if given else None
    if isinstance(listed, ast.Name):
        listed = texts.get(listed.id)
    items = listed.elts if isinstance(listed, ast.List) else []
    return tuple(str(item.value) for item in items if isinstance(item, ast.Constant))


def _kind(node: ast.AST, name: str) -> str:
    maker = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    if maker == "Histogram":
        return "histogram"
    return "counter" if name.endswith("_total") else "gauge"
