"""The routes of ``serve``: the tables ``route`` and ``destinations`` of the configuration file.

::

    [[route]]
    name = "ct"
    when = { Modality = "CT", calling_ae_title = "SCANNER*" }
    actions = [
        { send = "pacs" },
        { deidentify = { salt_file = "trial.salt", clean = ["descriptors"] } },
        { folder = "trial", name = "trial" },
    ]

    [destinations.pacs]
    confirm = "commitment"
    hours = ["20:00-06:00"]

Paths are relative to the folder of the file.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.config_file import TABLE_LIST, check_keys, problems_of_keys
from dicom_actors.cli.deidentify_options import CLEANED, RETAINED
from dicom_actors.cli.functions import function_of
from dicom_actors.cli.passcodes import read_passcode
from dicom_actors.cli.serve_settings import NONE, Setting, meanings_of
from dicom_actors.cli.usage import UsageError
from dicom_actors.deidentification import Deidentifier
from dicom_actors.errors import ConfigurationError, DicomError
from dicom_actors.flow import (
    Call,
    Command,
    Deidentify,
    DestinationSettings,
    DimsePeer,
    Edit,
    Folder,
    Route,
    Send,
    Transcode,
    WebPeer,
)
from dicom_actors.flow.routes import Router

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dicom_actors.cli.config_file import ConfigFile

__all__ = ["DESTINATION_SETTINGS", "FlowOptions", "flow_options_of"]

_ROUTE: Final[dict[str, Any]] = {
    "name": str,
    "when": dict,
    "level": str,
    "priority": int,
    "actions": TABLE_LIST,
}
_ACTIONS: Final[dict[str, dict[str, Any]]] = {
    "send": {"send": str},
    "folder": {"folder": str, "name": str},
    "command": {"command": list, "deadline": int | float, "name": str},
    "call": {"call": str, "timeout": int | float, "name": str, "isolate": str},
    "transcode": {"transcode": str, "quality": int | float},
    "deidentify": {"deidentify": dict},
    "edit": {"edit": dict},
}
_DEIDENTIFY: Final[dict[str, Any]] = {"salt_file": str, "retain": list, "clean": list}
_EDIT: Final[dict[str, Any]] = {"set": dict, "remove": list}
_KINDS: Final[dict[str, Any]] = {
    "str": str,
    "int": int,
    "float": int | float,
    "bool": bool,
    "int | None": int | str,
    "tuple[str, ...]": list,
}


def _settings() -> dict[str, Setting]:
    meanings = meanings_of(DestinationSettings)
    return {
        one.name: Setting(
            _KINDS[str(one.type)],
            None if one.default is MISSING else one.default,
            meanings.get(one.name, ""),
        )
        for one in fields(DestinationSettings)
    }


DESTINATION_SETTINGS: Final = _settings()
"""What may stand in a table below ``destinations``."""


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """What is sent on, and how.

    Attributes:
        routes: the routes.
        peers: who may be sent to, by the names of the file.
        destinations: how it is sent to destinations.
    """

    routes: tuple[Route, ...] = ()
    peers: dict[str, DimsePeer | WebPeer] = field(default_factory=dict, repr=False)
    destinations: dict[str, DestinationSettings] = field(default_factory=dict)


def flow_options_of(file: ConfigFile, peers: Mapping[str, DimsePeer | WebPeer]) -> FlowOptions:
    """Make of a configuration file what is sent on.

    Args:
        file: the file.
        peers: its peers, by their names.

    Raises:
        UsageError: something is not as expected; it names each such thing.
    """
    problems: list[str] = []
    routes = []
    for number, table in enumerate(file.content.get("route", ())):
        where = f"{file.place('route', str(number))}: route {table.get('name', number + 1)!r}"
        try:
            routes.append(_route(file, number, table, peers))
        except UsageError as error:
            problems += error.problems
        except (DicomError, OSError) as error:
            problems.append(f"{where}: {str(error).removeprefix(where.partition(': ')[2] + ': ')}")
    destinations = _destinations(file, problems)
    if not problems:
        try:
            known = Router(routes).ends
        except ConfigurationError as error:
            raise UsageError(f"{file.path}: {error}") from error
        for name, settings in destinations.items():
            if name not in known:
                names = ", ".join(known) or "there is none"
                problems.append(
                    f"{file.where('destinations', name)}: expected a destination that a route leads"
                    f" to ({names})"
                )
            elif settings.confirm == "commitment" and not _is_dimse(known[name], peers):
                problems.append(
                    f"{file.where('destinations', name)}: confirm: storage commitment is for peers"
                    " by DIMSE"
                )
    if problems:
        raise UsageError(*problems)
    return FlowOptions(tuple(routes), dict(peers), destinations)


def _route(
    file: ConfigFile, number: int, table: dict[str, Any], peers: Mapping[str, DimsePeer | WebPeer]
) -> Route:
    names = ("route", str(number))
    check_keys(file, names, table, _ROUTE)
    if "actions" not in table:
        raise UsageError(f"{file.where(*names)}: expected actions, what is to be done")
    given = table.get("name", f"route {number + 1}")
    actions = [_action(file, names, action, peers) for action in table["actions"]]
    others = {key: table[key] for key in ("when", "level", "priority") if key in table}
    return Route(given, actions, **others)


def _action(
    file: ConfigFile,
    names: tuple[str, ...],
    table: dict[str, Any],
    peers: Mapping[str, DimsePeer | WebPeer],
) -> Any:
    kinds = [kind for kind in _ACTIONS if kind in table]
    where = file.where(*names)
    if len(kinds) != 1:
        raise UsageError(
            f"{where}: actions: expected one of {', '.join(_ACTIONS)} in each, got"
            f" {', '.join(table) or 'nothing'}"
        )
    kind = kinds[0]
    check_keys(file, (*names, "actions"), table, _ACTIONS[kind])
    value, folder = table[kind], file.path.parent
    if kind == "send":
        if value not in peers:
            known = ", ".join(peers) or "there is none"
            raise UsageError(
                f"{where}: send: expected a peer of this file ({known}), got {value!r}"
            )
        return Send(value)
    if kind == "folder":
        return Folder(_beside(folder, value), table.get("name"))
    if kind == "command":
        return Command(
            tuple(value), **{key: table[key] for key in ("deadline", "name") if key in table}
        )
    if kind == "call":
        given = {key: table[key] for key in ("timeout", "name", "isolate") if key in table}
        try:
            return Call(function_of(value), **given)
        except ValueError as error:
            raise UsageError(f"{where}: call: {error}") from error
    if kind == "transcode":
        return Transcode(value, table.get("quality"))
    if kind == "edit":
        check_keys(file, (*names, "actions", "edit"), value, _EDIT)
        return Edit(value.get("set", {}), tuple(value.get("remove", ())))
    check_keys(file, (*names, "actions", "deidentify"), value, _DEIDENTIFY)
    return Deidentify(_deidentifier(where, folder, value))


def _deidentifier(where: str, folder: Path, table: dict[str, Any]) -> Deidentifier:
    if "salt_file" not in table:
        raise UsageError(f"{where}: deidentify: expected salt_file, whose first line is the key")
    options = []
    for verb, known in (("retain", RETAINED), ("clean", CLEANED)):
        for word in table.get(verb, ()):
            if word not in known:
                raise UsageError(
                    f"{where}: deidentify: {verb}: expected {', '.join(known)}; got {word!r}"
                )
            options.append(f"{verb}-{word}")
    try:
        return Deidentifier(
            options=options,
            salt=read_passcode(_beside(folder, table["salt_file"])),
            decompress=_decompress(),
        )
    except ValueError as error:
        raise UsageError(f"{where}: deidentify: {error}") from error


def _decompress() -> Any:
    try:
        from dicom_actors.pixels import decompress
    except ImportError:  # an extra
        return None
    return decompress


def _beside(folder: Path, name: str) -> str:
    from pathlib import Path

    try:
        return str((folder / Path(name).expanduser()).absolute())
    except RuntimeError:  # ~ of a user who has no home
        return str((folder / name).absolute())


def _is_dimse(end: Any, peers: Mapping[str, DimsePeer | WebPeer]) -> bool:
    return isinstance(end, Send) and isinstance(peers.get(end.peer), DimsePeer)


def _destinations(file: ConfigFile, problems: list[str]) -> dict[str, DestinationSettings]:
    found = {}
    kinds = {name: one.kind for name, one in DESTINATION_SETTINGS.items()}
    for name, table in file.content.get("destinations", {}).items():
        names = ("destinations", name)
        if not isinstance(table, dict):
            problems.append(f"{file.where(*names)}: expected a table, got {table!r:.200}")
            continue
        wrong = problems_of_keys(file, names, table, kinds)
        if wrong:
            problems += wrong
            continue
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else None if value == NONE else value
            for key, value in table.items()
        }
        try:
            found[name] = DestinationSettings(**values)
        except ConfigurationError as error:
            problems.append(f"{file.where(*names)}: {error}")
    return found
