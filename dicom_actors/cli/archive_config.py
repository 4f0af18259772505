"""The settings of ``serve``: from its options, else from the configuration file, else defaults.

The file is that of the peers (see `peers`), with two more tables::

    [serve]
    port = 11112
    ae_title = "ARCHIVE"
    store = "/srv/dicom"                # relative to the folder of this file

    [archive]
    duplicates = "keep-both"

Peers that have an AE title are where C-MOVE may send to.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.archive import ArchiveSettings
from dicom_actors.archive.services import Peer
from dicom_actors.cli.connecting import tls_context, user_identity
from dicom_actors.cli.peers import check_keys, load_peers, read_config
from dicom_actors.cli.usage import UsageError
from dicom_actors.cli.web_options import show_web
from dicom_actors.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import Namespace

    from dicom_actors.cli.web_options import WebOptions

__all__ = ["ArchiveOptions", "load_options", "show_config"]


_SERVE: Final[dict[str, tuple[Any, Any, str]]] = {
    "port": (int, 4242, "TCP port; 0 picks one"),
    "host": (str, "", "address to bind to; empty: all"),
    "ae_title": (str, None, "our AE title, others are rejected; none: any title will do"),
    "store": (str, "dicom-archive", "the archive's folder"),
    "drain": (int | float, 10.0, "seconds for open associations to finish at the end"),
    "worklist_folder": (str, None, "a folder of worklist items, JSON or .wl; none: no such folder"),
    "timeout": (int | float, None, "seconds after which an idle association ends; none: 600"),
}
"""Of each setting of the table ``serve``: its type, its default and its meaning."""

_TYPES: Final = {"int": int, "float": int | float, "str": str}


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """How ``serve`` keeps an archive.

    Attributes:
        settings: the archive's.
        peers: where C-MOVE may send to, by AE title.
        worklist_folder: a folder of worklist items; None: there is none.
    """

    settings: ArchiveSettings
    peers: dict[str, Peer]
    worklist_folder: str | None


def load_options(options: Namespace) -> ArchiveOptions:
    """Put what the file says where the command line says nothing.

    Args:
        options: of the command line; those that are None are filled in.

    Raises:
        UsageError: something in the file is not as expected.
    """
    content, path = read_config(options.config)
    serve = content.get("serve", {})
    check_keys(serve, {name: kind for name, (kind, _, _) in _SERVE.items()}, f"{path}: serve")
    for name in {"store", "worklist_folder"} & serve.keys():
        serve[name] = str(path.parent / serve[name])
    for name, (_, default, _) in _SERVE.items():
        if getattr(options, name) is None:
            setattr(options, name, serve.get(name, default))
    return ArchiveOptions(
        _settings(options, content, str(path)), _peers(options.config), options.worklist_folder
    )


def _settings(options: Namespace, content: dict[str, Any], path: str) -> ArchiveSettings:
    table = content.get("archive", {})
    known = {field.name: _TYPES[str(field.type)] for field in fields(ArchiveSettings)}
    check_keys(table, known, f"{path}: archive")
    try:
        settings = ArchiveSettings(**table)
    except ConfigurationError as error:
        raise UsageError(f"{path}: archive: {error}") from error
    chosen = {
        name: value
        for name in ("durability", "duplicates")
        if (value := getattr(options, name)) is not None
    }
    return replace(settings, **chosen)


def _peers(config: str | None) -> dict[str, Peer]:
    found = {}
    for peer in load_peers(config).values():
        if peer.called is not None:
            found[peer.called] = Peer(
                peer.host,
                peer.port,
                calling=peer.calling,
                timeout=30.0 if peer.timeout is None else peer.timeout,
                tls=None if peer.tls is None else tls_context(peer.tls),
                user_identity=user_identity(peer, prompt=False),
            )
    return found


def show_config(options: Namespace, archive: ArchiveOptions, web: WebOptions) -> str:
    """All settings as they are, each with its meaning, as a configuration file."""
    lines = ["[serve]"]
    for name, (_, _, meaning) in _SERVE.items():
        lines.append(_line(name, getattr(options, name), meaning))
    lines += ["", "[archive]"]
    meanings = _meanings()
    for field in fields(ArchiveSettings):
        value = getattr(archive.settings, field.name)
        lines.append(_line(field.name, value, meanings.get(field.name, "")))
    lines += ["", "[web]"]
    lines += [_line(name, value, meaning) for name, value, meaning in show_web(web)]
    for title, peer in archive.peers.items():
        lines += ["", f"# C-MOVE may send to {title}, {peer.host}:{peer.port}"]
    return "\n".join(lines)


def _line(name: str, value: Any, meaning: str) -> str:
    setting = f"# {name} =" if value is None else f"{name} = {json.dumps(value)}"
    comment = textwrap.fill(meaning, 90, initial_indent="# ", subsequent_indent="# ")
    return f"{comment}\n{setting}"


def _meanings() -> dict[str, str]:
    """What is said of each setting where it is defined."""
    text = (ArchiveSettings.__doc__ or "").partition("Attributes:")[2].partition("Raises:")[0]
    found = re.findall(r"^ {8}(\w+): ((?:.|\n(?! {8}\w))*)", text, re.MULTILINE)
    return {name: " ".join(meaning.replace("``", "").split()) for name, meaning in found}
