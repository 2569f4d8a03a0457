"""Who may be answered by a copy that lags behind: those who show rows to people, and nobody who decides by them."""

import re
from pathlib import Path

from appliance.components.look import Look
from appliance.components.silver import SilverStore

HOUSE = Path(__file__).parents[2] / "appliance"
SHOWING = {"services/letters.py", "services/points.py", "services/queries.py", "services/records.py"}


def test_only_services_that_show_rows_look() -> None:
    found = {
        path.relative_to(HOUSE).as_posix()
        for room in ("engine", "services", "sources", "api", "cli", "mapping", ".")
        for path in (HOUSE / room).glob("*.py" if room == "." else "**/*.py")
        if re.search(r"\bsilver\.look\b|\)\.look\b", path.read_text("utf-8"))
    }
    assert found == SHOWING


def test_looking_has_the_methods_of_the_store() -> None:
    methods = {name for name in vars(Look) if not name.startswith("_")}
    assert methods == {"records", "aggregate", "dead_letters"}
    assert methods <= set(vars(SilverStore))
