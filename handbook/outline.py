"""The order of the handbook. A page that is not listed is shown all the same, at the end of its kind."""

from typing import Final, NamedTuple


class Section(NamedTuple):
    """A heading of the navigation, and the pages below it by address."""

    title: str
    pages: tuple[str, ...]


START: Final = "index"
REST: Final = "More"
SECTIONS: Final = (
    Section("Start", ("index", "start-here", "first-half-hour", "getting-started", "use-cases", "glossary")),
    Section("Tutorials", ("tutorial-dead-letters", "tutorial-replay", "tutorial-charts")),
    Section("Receive and shape", ("sources", "mapping", "versions", "replay", "dead-letters", "lineage")),
    Section("Read", ("api", "gold", "how-to")),
    Section(
        "Install and run",
        (
            "install",
            "https",
            "licence",
            "sign-in",
            "backup",
            "move",
            "lost-password",
            "appearance",
            "deployment",
            "database",
            "timescale",
            "archive",
        ),
    ),
    Section("Upgrade", ("upgrade", "rollback")),
    Section("Several nodes", ("nodes", "front-door", "jobs")),
    Section(
        "Operate", ("operations", "organisations", "monitoring", "runbook", "doctor", "incidents", "security", "limits")
    ),
    Section("How it works", ("architecture", "bronze", "silver", "storage", "ci")),
    Section(
        "Reference",
        (
            "errors",
            "reference/settings",
            "reference/cli",
            "reference/api",
            "reference/metrics",
            "reference/alerts",
            "reference/permissions",
            "reference/licence",
            "reference/performance",
        ),
    ),
    Section("Project", ("changelog", "contributing", "decisions")),
)
# Below "decisions" there are too many for the navigation: that page lists them.
UNLISTED: Final = "decisions/"


def arranged(slugs: set[str]) -> list[Section]:
    """Return the sections with the pages that there are; what no section names comes under a heading of its own."""
    named = {slug for section in SECTIONS for slug in section.pages}
    rest = sorted(slug for slug in slugs - named if not slug.startswith(UNLISTED))
    sections = [Section(one.title, tuple(slug for slug in one.pages if slug in slugs)) for one in SECTIONS]
    if rest:
        sections.insert(-2, Section(REST, tuple(rest)))
    return [section for section in sections if section.pages]
