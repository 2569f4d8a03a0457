"""Finds the value of every setting: flag, else environment, else credential, else file, else chosen, else default.

Tells every problem at once.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
from msgspec.structs import replace

from appliance.errors import ConfigError, Problem
from appliance.settings.chosen import CHOSEN_FILE, is_left
from appliance.settings.consistency import contradictions
from appliance.settings.declared import ENV_PREFIX, Declared, declared, suggestion
from appliance.settings.environment import TOKEN, credentials, service_links
from appliance.settings.sections import Settings

FILE_NAME = "dash-appliance.toml"
AS_ROOT = "it is for root and the service alone: put 'sudo' before the command"
SYSTEM_FILE = Path("/etc/dash-appliance") / FILE_NAME


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, and for each key where its value came from: ``flag``, ``DASH_…``, a file (``file:line``, or just the
    file of a credential) or ``default``.

    ``passed_over``: who still names the database that the appliance was moved out of; None: nobody does.
    """

    settings: Settings
    origins: dict[str, str]
    file: Path | None
    passed_over: str | None = None


class _Found(msgspec.Struct, frozen=True):
    """A value as it was written, and the place."""

    value: Any
    origin: str
    file: str | None = None
    line: int | None = None


def load(flags: Mapping[str, Any], env: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """Return the settings; see ``resolve``."""
    return resolve(flags, env, file).settings


def resolve(flags: Mapping[str, Any], env: Mapping[str, str] | None = None, file: Path | None = None) -> Loaded:
    """Return the settings with their origins.

    ``flags``: values by key (``server.port``); None means not given. ``env``: None means this process's environment.
    ``file``: must exist; None: ``dash-appliance.toml`` in the data directory, else in ``/etc/dash-appliance``.

    Raises:
        ConfigError: with every problem of every layer.
    """
    known = {one.key: one for one in declared()}
    problems: list[Problem] = []
    env = os.environ if env is None else env
    found = dict(_from_credentials(known, credentials(env), problems)) | dict(_from_env(known, env, problems))
    found |= {key: _Found(value, "flag") for key, value in flags.items() if value is not None}
    data_dir = _early_data_dir(known, found)
    if "server.data_dir" not in found and file is None:
        _refuse_defaults_beside(data_dir, problems)
    path = file or _file_of(data_dir)
    if path is not None:
        written = dict(_from_file(known, path, problems))
        if file is None and data_dir is not None and path.parent == data_dir:
            _refuse_to_move(written, data_dir, problems)
        found = written | found
    data_dir = _early_data_dir(known, found)  # a file may have said it
    passed_over = _chosen(known, found, data_dir, problems) if data_dir is not None else None
    values = {key: value for one in known.values() for key, value in _value(one, found, problems)}
    if problems:
        raise ConfigError(problems)
    sections = {
        section.name: section.type(
            **{key.split(".")[1]: values[key] for key in values if key.startswith(f"{section.name}.")}
        )
        for section in msgspec.structs.fields(Settings)
    }
    settings = Settings(**sections)
    if contradicting := list(contradictions(settings)):
        raise ConfigError([_placed(problem, found) for problem in contradicting])
    origins = {key: found[key].origin if key in found else "default" for key in known}
    if passed_over is not None:
        origins["database.url"] += f"; {passed_over} names the database that was moved out of"
    return Loaded(settings=settings, origins=origins, file=path, passed_over=passed_over)


def _chosen(
    known: Mapping[str, Declared], found: dict[str, _Found], data_dir: Path, problems: list[Problem]
) -> str | None:
    """Add what was chosen on a screen or by a move; return who still names a database that was moved out of."""
    passed_over = _pass_over(known, found, data_dir)
    if os.access(chosen := data_dir / CHOSEN_FILE, os.F_OK):
        for key, value in _from_file(known, chosen, problems):
            found.setdefault(key, value)
    return passed_over or _pass_over(known, found, data_dir)


def _pass_over(known: Mapping[str, Declared], found: dict[str, _Found], data_dir: Path) -> str | None:
    """Take out a database that the appliance was moved out of; return who still names it."""
    url, schema = found.get("database.url"), found.get("database.schema")
    if url is None:
        return None
    within = known["database.schema"]
    try:
        dsn, name = (
            known["database.url"].parse(url.value),
            within.default if schema is None else within.parse(schema.value),
        )
    except ValueError:
        return None  # told when the values are parsed
    if dsn is None or not is_left(data_dir, dsn, name):
        return None
    del found["database.url"]
    return url.origin


def _placed(problem: Problem, found: Mapping[str, _Found]) -> Problem:
    """Return ``problem`` with the place where its value was written, if it was."""
    written = found.get(problem.pointer)
    return problem if written is None else replace(problem, file=written.file, line=written.line)


def default_data_dir() -> Path:
    """Return the user's data directory of this system.

    Raises:
        ConfigError: the user has no home and no entry in the password file.
    """
    try:
        return platformdirs.user_data_path("dash-appliance", appauthor=False)
    except (OSError, RuntimeError, KeyError) as error:
        raise ConfigError([_no_data_dir()]) from error


def _no_data_dir() -> Problem:
    return Problem(
        "server.data_dir",
        "this user has no home directory, so there is no default for the data directory",
        hint="say --data-dir DIR or set DASH_SERVER_DATA_DIR",
    )


def _early_data_dir(known: Mapping[str, Declared], found: Mapping[str, _Found]) -> Path | None:
    """Return the data directory as far as it is known before a file is read."""
    written = found.get("server.data_dir")
    try:
        return default_data_dir() if written is None else known["server.data_dir"].parse(written.value)
    except (ConfigError, ValueError):
        return None  # told when the values are parsed


def _refuse_to_move(written: Mapping[str, _Found], data_dir: Path, problems: list[Problem]) -> None:
    """A file found in the data directory cannot say that the data directory is elsewhere."""
    other = written.get("server.data_dir")
    if other is not None and other.value != str(data_dir):
        message = f"this file was found in {str(data_dir)!r} and names {other.value!r} as the data directory"
        hint = "remove the line, or say --data-dir"
        problems.append(Problem("server.data_dir", message, hint=hint, file=other.file, line=other.line))


def _refuse_defaults_beside(data_dir: Path | None, problems: list[Problem]) -> None:
    """Whoever means the installed appliance and may not read its settings is not to be answered of an empty one."""
    if not _enters(SYSTEM_FILE.parent) and (data_dir is None or not data_dir.exists()):
        told = "there is an installed Dash here, whose settings this user may not read"
        problems.append(Problem("", told, hint=f"{AS_ROOT}; or say --data-dir for another", file=str(SYSTEM_FILE)))


def _file_of(data_dir: Path | None) -> Path | None:
    candidates = [SYSTEM_FILE] if data_dir is None else [data_dir / FILE_NAME, SYSTEM_FILE]
    return next((path for path in candidates if os.access(path, os.F_OK)), None)


def _enters(folder: Path) -> bool:
    return not os.access(folder, os.F_OK) or os.access(folder, os.X_OK)


def _from_env(
    known: Mapping[str, Declared], env: Mapping[str, str], problems: list[Problem]
) -> Iterator[tuple[str, _Found]]:
    by_variable = {one.variable: one.key for one in known.values()}
    links = service_links(env)
    for variable, value in sorted(env.items()):
        if variable in links:
            continue
        if variable in by_variable:
            yield by_variable[variable], _Found(value, variable)
        elif variable.startswith(ENV_PREFIX) and variable != TOKEN:
            problems.append(Problem(variable, "no such setting", hint=suggestion(variable, list(by_variable))))


def _from_credentials(
    known: Mapping[str, Declared], directory: Path | None, problems: list[Problem]
) -> Iterator[tuple[str, _Found]]:
    """A service manager hands over a file for each secret. One called like a setting sets it, unless it is empty;
    others are files that settings name, such as a password's."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.name in known) if directory is not None else []
        texts = {path: path.read_text("utf-8").strip() for path in paths}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem("", f"the credentials cannot be read: {error}", file=str(directory)))
        return
    yield from ((path.name, _Found(text, str(path), str(path))) for path, text in texts.items() if text)


def _from_file(known: Mapping[str, Declared], path: Path, problems: list[Problem]) -> Iterator[tuple[str, _Found]]:
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        hint = AS_ROOT if isinstance(error, PermissionError) else None
        problems.append(Problem("", f"the file cannot be read: {error.strerror}", hint=hint, file=str(path)))
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = re.search(r"line (\d+)", str(error))
        problems.append(Problem("", f"not TOML: {error}", file=str(path), line=int(place[1]) if place else None))
        return
    lines = _lines(text)
    sections = sorted({one.section for one in known.values()})
    for key, value in _keys(document):
        section, line = key.split(".")[0], lines.get(key)
        if key in known:
            yield key, _Found(value, f"{path}:{line}" if line else str(path), str(path), line)
        else:
            hint = suggestion(key, list(known)) if section in sections else suggestion(section, sections)
            problems.append(Problem(key, "no such setting", hint=hint, file=str(path), line=line))


def _keys(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (``section.key``, value); a key outside a table comes as it is, to be told as unknown."""
    for section, table in document.items():
        if isinstance(table, dict) and table:
            yield from ((f"{section}.{name}", value) for name, value in table.items())
        elif not isinstance(table, dict):
            yield section, table


def _lines(text: str) -> dict[str, int]:
    """Return the line of each key. ``tomllib`` does not tell; this reads what it has already accepted."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w.\"' -]+?)\s*\]", line):
            section = re.sub(r"[\s\"']", "", header[1])
        elif assignment := re.match(r"\s*([\w.\"' -]+?)\s*=", line):
            name = re.sub(r"[\s\"']", "", assignment[1])
            lines.setdefault(f"{section}.{name}" if section else name, number)
    return lines


def _value(one: Declared, found: Mapping[str, _Found], problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    written = found.get(one.key)
    try:
        if written is not None:
            yield one.key, one.parse(written.value)
        elif one.default is msgspec.NODEFAULT:
            yield one.key, default_data_dir()
    except ValueError as error:
        place = written or _Found(None, "default")
        name = place.origin if place.origin.startswith(ENV_PREFIX) else one.key
        problems.append(Problem(name, str(error), file=place.file, line=place.line))
    except ConfigError as error:
        problems.extend(error.problems)
