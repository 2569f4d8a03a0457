"""SQL for what no value of the mapping reads of an event: JSON text, NULL when nothing is left.

Members that are read are removed by name, nested ones inside their object; an object of which everything is read
disappears. An array of which single places are read counts as unread for ``keep`` (it stays whole, so nothing is lost)
and as read for ``reject`` (else such an event could never pass).

Each step is a level of the query of its own, because DuckDB computes an expression as often as it is written.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.mapping import sql
from appliance.mapping.path import Path
from appliance.mapping.slots import Slots

Tree = dict[str, "Tree | None"]  # None: read as a whole


def read_tree(paths: Iterable[Path], whole_arrays: bool) -> Tree | None:
    """Return which members ``paths`` read; None: everything. ``whole_arrays``: reading a place reads the array."""
    tree: Tree = {}
    for path in paths:
        if len(path.names) < len(path.steps) and not whole_arrays:
            continue
        if not path.names:
            return None
        _enter(tree, path.names)
    return tree


@dataclass(frozen=True)
class Leftover:
    """What ``tree`` leaves of ``document``, SQL for JSON whose places ``slots`` knows.

    ``name`` is the SQL name of the answer and begins the names of what leads to it. ``when``: SQL for whether to ask at
    all; ``is_object``: SQL for whether the document is an object. Another document is left as it is, null is nothing.
    """

    name: str
    document: str
    slots: Slots
    tree: Tree | None
    when: str
    is_object: str

    def __post_init__(self) -> None:
        for path, _ in self._parts():
            self.slots.json(path)  # so that it is read

    def levels(self) -> Iterator[list[str]]:
        """Yield the selections of each level of the query; the last one gives ``name``."""
        if self.tree is None:
            yield [f"CAST(NULL AS VARCHAR) AS {self.name}"]
            return
        nodes = [(Path(), self.tree), *self._parts()]
        yield [f"{self._unread(path, tree)} AS {self._column(path)}_own" for path, tree in nodes]
        for depth in sorted({len(path.steps) for path, _ in nodes}, reverse=True):
            level = [(path, tree) for path, tree in nodes if len(path.steps) == depth]
            yield [f"{self._whole(path, tree)} AS {self._column(path)}" for path, tree in level]

    def _parts(self) -> list[tuple[Path, Tree]]:
        """Return the objects that are read in part."""
        found: list[tuple[Path, Tree]] = []
        pending: list[tuple[Path, Tree]] = [(Path(), self.tree or {})]
        while pending:
            at, tree = pending.pop()
            inner = [(Path((*at.steps, name)), below) for name, below in tree.items() if below is not None]
            found += inner
            pending += inner
        return found

    def _column(self, path: Path) -> str:
        tree, column = self.tree or {}, self.name
        for name in map(str, path.steps):
            column += f"_{list(tree).index(name)}"
            tree = tree[name] or {}
        return column

    def _source(self, path: Path) -> str:
        return self.slots.json(path) if path.steps else self.document

    def _unread(self, path: Path, tree: Tree) -> str:
        """Return SQL for the members that nothing reads: NULL for what is no object, bare if others are partly read."""
        source = self._source(path)
        removed = sql.text(json.dumps(dict.fromkeys(tree), ensure_ascii=False))
        members = f"CAST(json_merge_patch({source}, {removed}) AS VARCHAR)"
        if any(inner is not None for inner in tree.values()):
            members += "[2:-2]"
        is_object = f"json_type({source}) = 'OBJECT'" if path.steps else self.is_object
        return f"CASE WHEN {self.when} AND {is_object} THEN {members} END"

    def _whole(self, path: Path, tree: Tree) -> str:
        own = f"{self._column(path)}_own"
        parts = {name: self._column(Path((*path.steps, name))) for name, inner in tree.items() if inner is not None}
        other = f"CAST({self._source(path)} AS VARCHAR)"
        if not path.steps:
            other = f"nullif({other}, 'null')"
        if not parts:
            return f"CASE WHEN {own} IS NOT NULL THEN nullif({own}, '{{}}') WHEN {self.when} THEN {other} END"
        nothing = " AND ".join([f"{own} = ''", *(f"{part} IS NULL" for part in parts.values())])
        members = ", ".join([f"nullif({own}, '')", *(f"{key_text(name)} || {part}" for name, part in parts.items())])
        # Put together as text, because a merge would drop members that are null.
        return (
            f"CASE WHEN {nothing} THEN NULL WHEN {own} IS NOT NULL THEN '{{' || concat_ws(',', {members}) || '}}'"
            f" WHEN {self.when} THEN {other} END"
        )


def with_member(members: str, key: str, value: str) -> str:
    """Return SQL for JSON object text with one member more; ``members`` and ``value`` are SQL names and may be NULL."""
    one = f"{key_text(key)} || {value}"
    return (
        f"CASE WHEN {value} IS NULL THEN {members} WHEN {members} IS NULL THEN '{{' || {one} || '}}'"
        f" ELSE {members}[:-2] || ',' || {one} || '}}' END"
    )


def key_text(name: str) -> str:
    """Return the SQL literal of a member's key and colon."""
    return sql.text(json.dumps(name, ensure_ascii=False) + ":")


def _enter(tree: Tree, names: tuple[str, ...]) -> None:
    for name in names[:-1]:
        inner = tree.setdefault(name, {})
        if inner is None:
            return
        tree = inner
    tree[names[-1]] = None
