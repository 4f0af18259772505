"""The configuration of ``serve``: its options, else the configuration file, else defaults.

The file is that of the peers (see `peers`), with more tables (see `serve_settings`)::

    [serve]
    port = 11112
    ae_title = "ARCHIVE"
    store = "/srv/dicom"                # relative to the folder of this file

    [archive]
    duplicates = "keep-both"

    [endpoint]
    max_associations = 100

    [web]
    port = 8042

    [[route]]                           # see `serve_routes`
    actions = [{ send = "pacs" }]

Peers that have an AE title are where C-MOVE may send to.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.archive import ArchiveSettings
from dicom_actors.archive.index.locating import redacted
from dicom_actors.archive.services import Peer
from dicom_actors.cli.config_file import ConfigFile, near, problems_of_keys, read_config
from dicom_actors.cli.connecting import https_context, tls_config, user_identity
from dicom_actors.cli.passcodes import read_passcode
from dicom_actors.cli.peers import peers_in
from dicom_actors.cli.serve_routes import DESTINATION_SETTINGS, FlowOptions, flow_options_of
from dicom_actors.cli.serve_settings import ALL, NONE, SETTINGS, Setting, checked, given
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import ConfigurationError
from dicom_actors.flow import DestinationSettings, DimsePeer, WebPeer

if TYPE_CHECKING:
    from argparse import Namespace

    from dicom_actors.cli import peers

__all__ = ["ServeConfig", "load_config", "show_config"]

_DEFAULT: Final = "default"
_ANY_TITLE: Final = "ANY-SCP"
_FILES_OF_PEERS: Final = {"passcode_file", "certificate", "key", "authorities"}


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """The configuration as it is in effect.

    Attributes:
        file: the configuration file.
        values: each setting, by table and name.
        sources: where each comes from, in words.
        peers: where C-MOVE may send to, by AE title.
        names: the names of these peers in the file, by AE title.
        flow: what is sent on.
    """

    file: ConfigFile
    values: dict[str, dict[str, Any]] = field(repr=False)
    sources: dict[tuple[str, str], str] = field(repr=False)
    peers: dict[str, Peer]
    names: dict[str, str]
    flow: FlowOptions

    @property
    def archive(self) -> ArchiveSettings:
        """The settings of the archive."""
        return ArchiveSettings(**self.values["archive"])

    @property
    def endpoint(self) -> dict[str, Any]:
        """What of `EndpointConfig` is not at its default."""
        return {
            name: value
            for name, value in self.values["endpoint"].items()
            if self.sources["endpoint", name] != _DEFAULT
        }

    @property
    def web(self) -> dict[str, Any]:
        """The settings of the table ``web``."""
        return self.values["web"]

    @property
    def nats(self) -> dict[str, Any]:
        """The settings of the table ``nats``."""
        return self.values["nats"]

    def __getitem__(self, name: str) -> Any:
        """A setting of the table ``serve``."""
        return self.values["serve"][name]


def load_config(options: Namespace) -> ServeConfig:
    """Read the configuration file, and put what the command line says before it.

    Args:
        options: of the command line: those of the names of settings, None where nothing was said;
            ``set``, a list of texts ``table.name=value``; ``config``, the file.

    Raises:
        UsageError: something is not as expected; it names each such thing.
    """
    file = read_config(options.config)
    problems: list[str] = []
    values, sources = _defaults()
    for table, settings in SETTINGS.items():
        found = file.content.get(table, {})
        wrong = problems_of_keys(
            file, (table,), found, {name: one.kind for name, one in settings.items()}
        )
        problems += wrong
        if wrong:
            found = {
                name: value
                for name, value in found.items()
                if name in settings
                and not problems_of_keys(file, (table,), {name: value}, _kinds(table))
            }
        for name, value in found.items():
            if problem := checked(table, name, value):
                problems.append(f"{file.place(table, name)}: {table}: {problem}")
                continue
            values[table][name] = _meant(table, name, value, file.path.parent)
            sources[table, name] = file.place(table, name)
    problems += _take_options(options, values, sources)
    peers, names, by_name = _peers(file, problems)
    flow = FlowOptions()
    try:
        flow = flow_options_of(file, by_name)
    except UsageError as error:
        problems += error.problems
    if problems:
        raise UsageError(*problems)
    return ServeConfig(file, values, sources, peers, names, flow)


def _kinds(table: str) -> dict[str, Any]:
    return {name: setting.kind for name, setting in SETTINGS[table].items()}


def _defaults() -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], str]]:
    values = {
        table: {name: one.default for name, one in settings.items()}
        for table, settings in SETTINGS.items()
    }
    return values, {(table, name): _DEFAULT for table in values for name in values[table]}


def _meant(table: str, name: str, value: Any, folder: Path | None) -> Any:
    """The value that is meant; relative paths of a file are relative to its folder."""
    setting = SETTINGS[table][name]
    if not setting.is_path or folder is None:
        return given(setting, value)
    try:
        return str(folder / Path(value).expanduser())
    except RuntimeError:  # ~ of a user who has no home
        return str(folder / value)


def _take_options(
    options: Namespace,
    values: dict[str, dict[str, Any]],
    sources: dict[tuple[str, str], str],
) -> list[str]:
    """Put what the command line says before the rest; returns what is wrong with it."""
    problems = []
    for text in getattr(options, "set", None) or ():
        place, equals, written = text.partition("=")
        table, _, name = place.strip().partition(".")
        if not equals or table not in SETTINGS or name not in SETTINGS[table]:
            known = [f"{one}.{key}" for one in SETTINGS for key in SETTINGS[one]]
            hint = near(place.strip(), known) if equals else ""
            problems.append(
                f"--set: expected TABLE.NAME=VALUE of --show-config, got {text!r}{hint}"
            )
            continue
        value = _written(written)
        file = ConfigFile(Path("--set"))
        wrong = problems_of_keys(file, (table,), {name: value}, _kinds(table))
        if not wrong and (problem := checked(table, name, value)):
            wrong = [f"--set: {table}: {problem}"]
        problems += wrong
        if not wrong:
            values[table][name] = _meant(table, name, value, None)
            sources[table, name] = "--set"
    for table, settings in SETTINGS.items():
        for name in settings:
            own = f"{table}_{name}" if table in {"web", "nats"} else name
            value = getattr(options, own, None) if table != "endpoint" else None
            if value is None:
                continue
            option = f"--{own.replace('_', '-')}"
            if problem := checked(table, name, value):
                problems.append(problem.replace(name, option, 1))
                continue
            values[table][name], sources[table, name] = value, option
    return problems


def _written(text: str) -> Any:
    """What a value of ``--set`` is: as in TOML, or a text without quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text.strip()


def _peers(
    file: ConfigFile, problems: list[str]
) -> tuple[dict[str, Peer], dict[str, str], dict[str, DimsePeer | WebPeer]]:
    """Give where C-MOVE may send to, the names of these peers, and all by their names.

    The first of an AE title counts.
    """
    found: dict[str, Peer] = {}
    names: dict[str, str] = {}
    by_name: dict[str, DimsePeer | WebPeer] = {}
    try:
        listed = peers_in(file)
    except UsageError as error:
        problems += error.problems
        return found, names, by_name
    for name, peer in listed.items():
        try:
            if peer.url is not None:  # nothing is moved to it
                by_name[name] = _web_destination(peer.url, peer)
                continue
            destination = _destination(peer)
            by_name[name] = DimsePeer(peer.called or _ANY_TITLE, destination)
            if peer.called is not None and peer.called not in found:
                found[peer.called] = destination
                names[peer.called] = name
        except (ConfigurationError, UsageError) as error:
            problems.append(f"{file.where('peers', name)}: {error}")
    return found, names, by_name


def _web_destination(url: str, peer: peers.Peer) -> WebPeer:
    token = None if peer.token_file is None else read_passcode(peer.token_file)
    return WebPeer(url, token, https_context(peer), peer.timeout or 30.0)


def _destination(peer: peers.Peer) -> Peer:
    return Peer(
        peer.host,
        peer.port,
        calling=peer.calling,
        timeout=30.0 if peer.timeout is None else peer.timeout,
        tls=None if peer.tls is None else tls_config(peer.tls),
        server_hostname=None if peer.tls is None else peer.tls.hostname,
        user_identity=user_identity(peer, prompt=False),
    )


def show_config(config: ServeConfig) -> str:
    """All settings as they are, each with its meaning and its source, as a configuration file."""
    lines: list[str] = []
    for table, settings in SETTINGS.items():
        lines += ["", f"[{table}]"]
        for name, setting in settings.items():
            value, source = config.values[table][name], config.sources[table, name]
            if setting.is_path and value is not None:
                value = str(Path(value).absolute())
            if isinstance(value, str):
                value, source = redacted(value), redacted(source)
            lines += textwrap.wrap(setting.meaning, 96, initial_indent="# ", subsequent_indent="# ")
            lines.append(f"{_assignment(name, value, setting)}  # {_one_line(source)}")
    for name, peer in config.file.content.get("peers", {}).items():
        lines += ["", f"[peers.{_toml(name)}]  # {config.file.place('peers', name)}"]
        for title, called in config.names.items():
            if called == name:
                to = config.peers[title]
                lines.append(f"# C-MOVE may send to {title}, {to.host}:{to.port}")
        folder = config.file.path.absolute().parent
        lines += [f"{_toml_key(key)} = {_toml(_placed(key, peer[key], folder))}" for key in peer]
    lines += _show_flow(config)
    return "\n".join(lines[1:])


def _show_flow(config: ServeConfig) -> list[str]:
    """The routes as they are written, and the destinations as they are."""
    lines: list[str] = []
    file = config.file
    for number, table in enumerate(file.content.get("route", ())):
        lines += ["", f"[[route]]  # {file.place('route', str(number))}"]
        lines += [f"{_toml_key(key)} = {_toml(value)}" for key, value in table.items()]
    ends = dict.fromkeys(end.destination for route in config.flow.routes for end in route.ends)
    for name in ends:
        settings = config.flow.destinations.get(name, DestinationSettings())
        written = file.content.get("destinations", {}).get(name, {})
        lines += ["", f"[destinations.{_toml(name)}]"]
        for key, setting in DESTINATION_SETTINGS.items():
            lines += textwrap.wrap(setting.meaning, 96, initial_indent="# ", subsequent_indent="# ")
            source = file.place("destinations", name, key) if key in written else _DEFAULT
            lines.append(f"{_assignment(key, getattr(settings, key), setting)}  # {source}")
    return lines


def _assignment(name: str, value: Any, setting: Setting) -> str:
    if value is not None:
        return f"{name} = {_toml(value)}"
    if setting.default is None:
        return f"# {name} ="
    return f'{name} = "{ALL if setting.kind == list | str else NONE}"'


def _placed(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {inner: _placed(inner, of_it, folder) for inner, of_it in value.items()}
    return str(folder / value) if key in _FILES_OF_PEERS else value


def _toml_key(key: str) -> str:
    return key if key.isascii() and key.replace("_", "").isalnum() else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = (f"{_toml_key(key)} = {_toml(of_it)}" for key, of_it in value.items())
        return f"{{ {', '.join(inner)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
