"""The control socket of ``dicom-actors serve``: messages to the endpoint as lines of JSON.

A Unix domain socket that only the user who runs the endpoint can open (a folder of mode 0700, a
socket of mode 0600), in ``$XDG_RUNTIME_DIR/dicom-actors``, or else in the folder for temporary
files. A request is ``{"message": "Drain", "deadline": 10}``, the names being those of
`dicom_actors.messages`; the answer is ``{"result": ...}`` or ``{"error": "..."}``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import socketserver
import stat
import tempfile
import threading
import time
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import messages
from dicom_actors.errors import DicomError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pykka

__all__ = ["ask", "control_paths", "open_control_socket"]

_MAX_LINE: Final = 64 * 1024
_LONGEST: Final = 30 * 86_400
_TIMEOUT: Final = 10.0
"""Seconds for the endpoint to answer, beyond the time that a message itself allows."""

_PAUSE: Final = 0.1
"""Seconds after which it is tried again to accept somebody for whom there was no descriptor: until
then he stays where he is, and whoever looked for him would find him again and again."""

_MESSAGES: Final = {
    "GetStatus": messages.GetStatus,
    "ListAssociations": messages.ListAssociations,
    "GetTree": messages.GetTree,
    "Suspend": messages.Suspend,
    "Resume": messages.Resume,
    "Drain": messages.Drain,
    "AbortAssociation": messages.AbortAssociation,
}


def control_paths(port: int) -> list[Path]:
    """Where the control socket of the endpoint on `port` may be, the best place first."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folders = [Path(tempfile.gettempdir(), f"dicom-actors-{user}")]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        folders.insert(0, Path(runtime, "dicom-actors"))
    return [folder / f"{port}.sock" for folder in folders]


@contextlib.contextmanager
def open_control_socket(
    endpoint: pykka.ActorRef[Any], port: int, more: Mapping[str, Callable[..., Any]] | None = None
) -> Iterator[str]:
    """Answer on the control socket of `port` for the length of the block.

    Args:
        endpoint: is asked.
        port: its port.
        more: further messages, and what answers them; called with their fields.

    Yields:
        Why there is none; empty if there is one. An endpoint does its work without, too.
    """
    problems = []
    for path in control_paths(port):
        try:
            server = _open(path)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
            continue
        server.endpoint = endpoint
        server.more = more or {}
        thread = threading.Thread(target=server.serve_forever, name="control", daemon=True)
        thread.start()
        try:
            yield ""
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
            path.unlink(missing_ok=True)
        return
    yield f"no control socket: {'; '.join(problems)}"


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
    try:
        with _connected(port) as connection:
            connection.settimeout(_TIMEOUT + float(arguments.get("deadline", 0)))
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


def _connected(port: int) -> socket.socket:
    """Connect to the first control socket that there is; raises OSError if there is none."""
    problem: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    for path in control_paths(port):
        connection = socket.socket(socket.AF_UNIX)
        try:
            _check_private(path.parent)
            connection.connect(str(path))
        except FileNotFoundError:
            connection.close()
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    raise problem


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    endpoint: pykka.ActorRef[Any]
    more: Mapping[str, Callable[..., Any]]

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client. Runs in the thread that has nothing else to do."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(_PAUSE)
            raise


class _Conversation(socketserver.StreamRequestHandler):
    """One client; lines until it has no more to say."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        with contextlib.suppress(OSError):  # the client is gone
            while line := self.rfile.readline(_MAX_LINE):
                is_too_long = len(line) == _MAX_LINE and not line.endswith(b"\n")
                answer = (
                    {"error": f"expected lines of less than {_MAX_LINE} bytes"}
                    if is_too_long
                    else _answer(server.endpoint, server.more, line)
                )
                self.wfile.write(json.dumps(answer).encode() + b"\n")
                if is_too_long:
                    return  # where the next one begins nobody knows


def _answer(
    endpoint: pykka.ActorRef[Any], more: Mapping[str, Callable[..., Any]], line: bytes
) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if (other := more.get(request["message"])) is not None:
            del request["message"]
            return _answer_of(other, request)
        message = _MESSAGES[request.pop("message")](**request)
        deadline = _checked(message)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return {"error": f"expected a message of {', '.join(_MESSAGES)} with its fields: {error}"}
    except DicomError as error:
        return {"error": str(error)}
    try:
        return {"result": _plain(endpoint.ask(message, timeout=_TIMEOUT + deadline))}
    except Exception as error:  # noqa: BLE001 - whatever it is, the client is to know of it
        return {"error": str(error) or type(error).__name__}


def _answer_of(other: Callable[..., Any], fields: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": _plain(other(**fields))}
    except (ValueError, TypeError, DicomError):
        raise
    except Exception as error:  # noqa: BLE001 - as for those of the endpoint
        return {"error": str(error) or type(error).__name__}


def _checked(message: Any) -> float:
    """Refuse what an endpoint could not make anything of.

    Returns:
        The seconds that the message itself allows.

    Raises:
        ValueError: a field is not what it should be.
    """
    if isinstance(message, messages.AbortAssociation) and type(message.id) is not int:
        raise ValueError(f"id: expected a number, got {message.id!r}")
    if not isinstance(message, messages.Drain):
        return 0.0
    seconds = message.deadline
    if type(seconds) not in {int, float} or not 0 <= seconds <= _LONGEST:
        raise ValueError(f"deadline: expected 0 to {_LONGEST} seconds, got {seconds!r}")
    return float(seconds)


def _plain(value: Any) -> Any:
    """Make JSON of an answer; refs are left out, and times are those of the wall clock."""
    if isinstance(value, messages.AssociationInfo):
        return {**_fields(value), "since": _wall_clock(value.since)}
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _fields(value: Any) -> dict[str, Any]:
    names = [field.name for field in fields(value) if field.name != "ref"]
    return {name: _plain(getattr(value, name)) for name in names}


def _wall_clock(monotonic: float) -> str:
    """Make an ISO 8601 time, with its offset from UTC, of one of the monotonic clock."""
    ago = timedelta(seconds=time.monotonic() - monotonic)
    return (datetime.now().astimezone() - ago).isoformat(timespec="milliseconds")


def _open(path: Path) -> _Server:
    """Make the socket; raises OSError if it cannot be made, or not for this user alone."""
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=0o700)
    _check_private(path.parent)
    path.unlink(missing_ok=True)  # left by a process that was killed: the port is ours now
    server = _Server(str(path), _Conversation)
    path.chmod(0o600)
    return server


def _check_private(folder: Path) -> None:
    status = folder.lstat()
    is_private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not is_private or status.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "not a folder of this user alone")
