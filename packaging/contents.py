"""What goes into the bundle and what stays out, and why. Read by dash-appliance.spec; the smoke test proves it."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HANDBOOK = ROOT / "build" / "handbook-in-the-binary"
PACKAGES = ("appliance", "ui", "license")
VENDORS = ("license.issue",)  # makes licences and the keys they are signed with: nobody who is given the program has it

# Imported by name at run time, where the analysis cannot see it.
HIDDEN = (
    "alembic.ddl.postgresql",
    "alembic.ddl.sqlite",
    "logging.config",
    "psycopg_binary._psycopg",
    "psycopg_binary.pq",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "uvicorn.lifespan.off",
    "uvicorn.lifespan.on",
)

# These find their own modules by name.
WHOLE = ("sqlglot",)

# Parts of libraries for other uses, and servers that Granian replaces; what only development has stays out by itself.
# Pydantic's version 1: FastAPI looks whether it is there, and would have it in memory for that.
# readline: its library is under the GPL, and nobody types at a prompt of this Python.
EXCLUDED = (
    "IPython", "PIL", "aiohttp", "aiohttp_cors", "attr", "attrs", "brotli", "docutils", "ensurepip", "faker",
    "httptools", "idlelib", "lib2to3", "litestar.plugins.pydantic", "matplotlib", "nicegui.testing", "numpy", "pandas",
    "pkg_resources", "plotly", "polars", "polyfactory", "psycopg2", "pyarrow._azurefs", "pyarrow._flight",
    "pyarrow._gcsfs", "pyarrow._hdfs", "pyarrow._orc", "pyarrow._s3fs", "pyarrow._substrait", "pyarrow.flight",
    "pyarrow.orc", "pyarrow.tests", "pydantic.v1", "pydoc_data", "pywebview", "readline", "redis", "rich", "rich_click",
    "scipy", "sqlalchemy.dialects.mssql", "sqlalchemy.dialects.mysql", "sqlalchemy.dialects.oracle",
    "sqlalchemy.testing", "test", "tkinter", "turtle", "turtledemo", "watchfiles", "websockets", "webview", "wsproto",
)  # fmt: skip

# Shared libraries that only an excluded module loads. Wanted: arrow's compute, acero, dataset, substrait, parquet.
UNUSED_LIBRARIES = ("libarrow_flight", "libarrow_python_flight", "libarrow_s3", "libtcl", "libtk")

# NiceGUI's components with large assets, which no page uses. A page that did would answer 500: tests/binary opens them.
UNUSED_COMPONENTS = (
    "aggrid", "anywidget", "joystick", "json_editor", "leaflet", "mermaid", "plotly", "scene", "xterm",
)  # fmt: skip
# And other ways to write styles than the one that ui/ uses, and what is for looking into libraries.
UNUSED_STATIC = (
    "immutable.es.js", "quasar.umd.js", "sass.dart.js", "sass.default.js", "tailwindcss.min.js", "unocss",
    "vue.esm-browser.js",
)  # fmt: skip

# How a package came into the environment; hashes of scripts that name its folder would make two builds differ.
OF_INSTALLING = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")


def own_modules(submodules: Iterable[str]) -> list[str]:
    """Return those of our modules that belong into the bundle."""
    return [name for name in submodules if name not in VENDORS]


def of_development() -> Iterator[str]:
    """Yield installed packages that no user has: libraries would make use of some of them if they came along."""
    locked = (ROOT / "packaging" / "requirements.txt").read_text()
    wanted = {_normal(name) for name in re.findall(r"^([\w.-]+)==", locked, re.MULTILINE)}
    for package, distributions in packages_distributions().items():
        if wanted.isdisjoint(map(_normal, distributions)):
            yield package


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def own_data() -> Iterator[tuple[str, str]]:
    """Yield (file, folder in the bundle) for what our packages read as files; migrations are Python read as files."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            inside = path.relative_to(ROOT)
            if not path.is_file() or "__pycache__" in inside.parts:
                continue
            if path.suffix != ".py" or "migrations" in inside.parts:
                yield str(path), str(inside.parent)


def handbook() -> Iterator[tuple[str, str]]:
    """Yield (file, folder in the bundle) for the pages of /docs, which build.py has made."""
    for path in sorted(HANDBOOK.rglob("*")):
        if path.is_file():
            yield str(path), str(Path("docs/site") / path.relative_to(HANDBOOK).parent)


def wanted(name: str) -> bool:
    """Return whether a file belongs into the bundle; ``name``: its path there."""
    parts = Path(name).parts
    if parts[-1].startswith(UNUSED_LIBRARIES):
        return False
    match parts:
        case ("nicegui", "elements", component, *_):
            return component not in UNUSED_COMPONENTS
        case ("nicegui", "static", "lang", language):
            return language.startswith("en-US")
        case ("nicegui", "static", file, *_):
            return file not in UNUSED_STATIC
        case (folder, file) if folder.endswith(".dist-info"):
            return file not in OF_INSTALLING
        case ("pyarrow", "include" | "src" | "tests" | "includes", *_):
            return False
        case ("pyarrow", *_):
            return not parts[-1].endswith((".pxi", ".pxd", ".pyx", ".h"))
    return not parts[-1].endswith((".map", ".pyi"))
