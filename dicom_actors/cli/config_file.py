"""The configuration file: TOML, read once, and where in it each setting stands.

It is given with ``--config``, or is ``dicom-actors.toml`` in the folder for configuration files
(``$XDG_CONFIG_HOME``, else ``~/.config``). What is in its tables is for others to look into: see
`peers` and `serve_config`.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "TABLE_LIST",
    "ConfigFile",
    "check_keys",
    "near",
    "problems_of_keys",
    "read_config",
    "type_in_words",
]

TABLE_LIST: Final = list[dict[str, Any]]
"""The type of what is written as tables in double brackets, or as a list of tables."""

TABLES: Final[dict[str, Any]] = {
    "peers": dict,
    "serve": dict,
    "archive": dict,
    "endpoint": dict,
    "web": dict,
    "nats": dict,
    "route": TABLE_LIST,
    "destinations": dict,
}
"""What a file may have."""

_NAME: Final = "dicom-actors.toml"
_MOST_BYTES: Final = 1 << 20

_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    dict: "a table",
    int | float: "a number",
    bool | dict: "true, false or a table",
    list: "a list of texts",
    TABLE_LIST: "a list of tables",
    int | str: 'a whole number, or "none"',
    int | float | str: 'a number, or "none"',
    list | str: 'a list of texts, or "all"',
}

_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')"""
_KEYS: Final = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEAD: Final = re.compile(rf"[ \t]*\[[ \t]*({_KEYS})[ \t]*\]")
_HEAD_OF_LIST: Final = re.compile(rf"[ \t]*\[\[[ \t]*({_KEYS})[ \t]*\]\]")
_SETTING: Final = re.compile(rf"[ \t]*({_KEYS})[ \t]*=")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What was read.

    Attributes:
        path: the file, whether it is there or not.
        content: its tables.
        lines: the line of each key, and of each table, by their names from the top; tables of a
            list have numbers behind its name, from 0.
    """

    path: Path
    content: dict[str, Any] = field(default_factory=dict)
    lines: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    def place(self, *names: str) -> str:
        """Say where something stands: the file, the line if that is known, and its name."""
        for end in range(len(names), 0, -1):
            if names[:end] in self.lines:
                return f"{self.path}: line {self.lines[names[:end]]}"
        return str(self.path)

    def where(self, *names: str) -> str:
        """Say where something stands and what it is called, for the beginning of a message."""
        return f"{self.place(*names)}: {'.'.join(names)}"


def read_config(config: str | None = None) -> ConfigFile:
    """Read the configuration file.

    Args:
        config: its path; None: the usual one, which need not be there.

    Raises:
        UsageError: it cannot be read, or has tables that nobody knows.
    """
    import tomllib

    path = _path(config)
    if path is None:
        return ConfigFile(Path(_NAME))
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError(f"{path}: expected at most {_MOST_BYTES} bytes")
        text = data.decode("utf-8-sig")
        content = tomllib.loads(text)
    except FileNotFoundError:
        if config is None:
            return ConfigFile(path)
        raise UsageError(f"{path}: there is no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise UsageError(f"{path}: expected TOML: {error}") from error
    except RecursionError:
        raise UsageError(f"{path}: expected TOML: nested too deeply") from None
    file_read = ConfigFile(path, content, _lines_of(text))
    problems = problems_of_keys(file_read, (), content, TABLES)
    if problems:
        raise UsageError(*problems)
    return file_read


def problems_of_keys(
    file: ConfigFile, names: tuple[str, ...], table: Mapping[str, Any], known: Mapping[str, Any]
) -> list[str]:
    """Say what is wrong with the keys of a table, and with the types of its values.

    Args:
        file: what it is in.
        names: its name, from the top; empty: the file itself.
        table: what is in it.
        known: the type of each key that there is.
    """
    found = []
    for key, value in table.items():
        place = file.where(*names) if names else str(file.path)
        if (*names, key) in file.lines:
            place = f"{file.place(*names, key)}"
            place += f": {'.'.join(names)}" if names else ""
        if key not in known:
            found.append(f"{place}: expected {', '.join(known)}; got {key}{near(key, known)}")
        elif not _is(value, known[key]):
            found.append(
                f"{place}: {key}: expected {type_in_words(known[key])}, got {value!r:.200}"
            )
    return found


def check_keys(
    file: ConfigFile, names: tuple[str, ...], table: Mapping[str, Any], known: Mapping[str, Any]
) -> None:
    """Raise `UsageError` unless a table has known keys alone, with values of their types."""
    if problems := problems_of_keys(file, names, table, known):
        raise UsageError(*problems)


def near(name: str, known: Iterable[str]) -> str:
    """Ask whether a name like this one was meant; empty if there is none."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def type_in_words(kind: Any) -> str:
    """Say what a value of a type is."""
    return _WORDS[kind]


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):  # which Python takes for a number
        return kind in {bool, bool | dict}
    if kind == TABLE_LIST:
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)
    if isinstance(value, list):
        return kind in {list, list | str} and all(isinstance(item, str) for item in value)
    return isinstance(value, kind)


def _path(config: str | None) -> Path | None:
    """Where the file is; None: there is no folder where it could be."""
    if config is not None:
        return Path(config)
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if Path(folder).is_absolute():
        return Path(folder) / _NAME
    try:
        return Path("~/.config").expanduser() / _NAME
    except RuntimeError:  # a user without a home
        return None


def _lines_of(text: str) -> dict[tuple[str, ...], int]:
    """Find the lines of keys and tables in a text that is TOML; tomllib does not tell."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    quote = ""  # of a text of several lines that has begun
    for number, line in enumerate(text.splitlines(), start=1):
        if quote:
            if quote in line:
                quote = ""
            continue
        if (head := _HEAD_OF_LIST.match(line)) is not None:
            names = _names_in(head[1])
            counts[names] = counts.get(names, -1) + 1
            table = (*names, str(counts[names]))
            found.setdefault(names, number)
            found.setdefault(table, number)
        elif (head := _HEAD.match(line)) is not None:
            table = _names_in(head[1])
            found.setdefault(table, number)
        elif (setting := _SETTING.match(line)) is not None:
            names = (*table, *_names_in(setting[1]))
            for end in range(len(table) + 1, len(names) + 1):
                found.setdefault(names[:end], number)
            value = line[setting.end() :].lstrip()
            if value[:3] in {'"""', "'''"} and value.count(value[:3]) == 1:
                quote = value[:3]
    return found


def _names_in(text: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_KEY, text))
