"""The control socket of ``dicom-actors serve``: messages to the endpoint as lines of JSON.

A Unix domain socket that only the user who runs the endpoint can open (a folder of mode 0700, a
socket of mode 0600). A request is ``{"message": "Drain", "deadline": 10}``, the names being those
of `dicom_actors.messages`; the answer is ``{"result": ...}`` or ``{"error": "..."}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import tempfile
import threading
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import messages
from dicom_actors.errors import DicomError, TransportError
from dicom_actors.supervision import SupervisionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pykka

__all__ = ["ask", "control_path", "open_control_socket"]

_MAX_LINE: Final = 64 * 1024
_TIMEOUT: Final = 10.0
"""Seconds for the endpoint to answer, beyond the time that a message itself allows."""

_MESSAGES: Final = {
    "GetStatus": messages.GetStatus,
    "ListAssociations": messages.ListAssociations,
    "GetTree": messages.GetTree,
    "Suspend": messages.Suspend,
    "Resume": messages.Resume,
    "Drain": messages.Drain,
    "AbortAssociation": messages.AbortAssociation,
}


def control_path(port: int) -> Path:
    """Where the control socket of the endpoint on `port` is."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"dicom-actors-{user}" / f"{port}.sock"


@contextlib.contextmanager
def open_control_socket(endpoint: pykka.ActorRef[Any], port: int) -> Iterator[None]:
    """Answer on the control socket of `port` for the length of the block.

    Raises:
        TransportError: the folder is not ours alone, or the socket cannot be made.
    """
    path = control_path(port)
    _make_private_folder(path.parent)
    path.unlink(missing_ok=True)  # left by a process that was killed: the port is ours now
    try:
        server = _Server(str(path), _Conversation)
    except OSError as error:
        raise TransportError(f"control socket {path}: {error.strerror}") from error
    server.endpoint = endpoint
    path.chmod(0o600)
    thread = threading.Thread(target=server.serve_forever, name="control", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        path.unlink(missing_ok=True)


def ask(port: int, message: str, **arguments: Any) -> Any:
    """Send a message to the endpoint on `port` of this machine.

    Args:
        port: its port.
        message: the name of a message.
        **arguments: its fields.

    Returns:
        The answer, as JSON gives it.

    Raises:
        TransportError: nothing answers there.
        DicomError: the endpoint refused.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_TIMEOUT + float(arguments.get("deadline", 0)))
        try:
            connection.connect(str(control_path(port)))
            connection.sendall(json.dumps({"message": message, **arguments}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        except OSError as error:
            raise TransportError(
                f"no endpoint of this user answers for port {port}: {error.strerror or error}"
            ) from error
    answer = json.loads(line or b'{"error": "the endpoint ended"}')
    if "error" in answer:
        raise DicomError(answer["error"])
    return answer["result"]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    endpoint: pykka.ActorRef[Any]


class _Conversation(socketserver.StreamRequestHandler):
    """One client; lines until it has no more to say."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        while line := self.rfile.readline(_MAX_LINE):
            self.wfile.write(json.dumps(_answer(server.endpoint, line)).encode() + b"\n")


def _answer(endpoint: pykka.ActorRef[Any], line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        message = _MESSAGES[request.pop("message")](**request)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return {"error": f"expected a message of {', '.join(_MESSAGES)} with its fields: {error}"}
    timeout = _TIMEOUT + float(getattr(message, "deadline", 0))
    try:
        return {"result": _plain(endpoint.ask(message, timeout=timeout))}
    except (DicomError, SupervisionError) as error:
        return {"error": str(error)}


def _plain(value: Any) -> Any:
    """Make JSON of an answer; refs are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name))
            for field in fields(value)
            if field.name != "ref"
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _make_private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise TransportError(f"control socket: {folder} is not this user's alone")
