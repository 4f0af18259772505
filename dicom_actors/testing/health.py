"""Whether an endpoint is whole and holds nothing that nobody needs any more."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors import messages
from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.dimse import CommandElement, CommandField, decode_command, encode_command
from dicom_actors.pdu import AssociateAc, AssociateRj, PDataTf, Pdv, ReleaseRp, ReleaseRq
from dicom_actors.supervision import ActorThread
from dicom_actors.testing.hostile_peer import HostilePeer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.messages import EndpointStatus, TreeNode

__all__ = ["assert_healthy"]

_CHILDREN: Final = ("associations", "event bus", "endpoint", "watcher", "listener")
_DESCRIPTORS: Final = Path("/proc/self/fd")
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_VERIFICATION: Final = "1.2.840.10008.1.1"


def assert_healthy(
    endpoint: pykka.ActorRef[Any],
    *,
    associations: int | None = None,
    echo: bool = True,
    called: str | None = None,
    timeout: float = 60.0,
) -> None:
    """Fail unless an endpoint is whole and holds nothing that nobody needs any more.

    It answers messages, and on the network; its supervision tree is complete; each connection
    has its actors and each actor its connection; no input buffer is lent, no thread is disowned,
    and there is no thread, no accepted socket (looked for where the system has ``/proc``) and, if
    ``spool_directory`` is configured, no spool file that belongs to no connection.

    Associations may be open, but with nothing under way. What is ending is waited for: the check
    is repeated until it passes or the time is up.

    Args:
        endpoint: the endpoint's ref.
        associations: how many connections must be open; None: any number.
        echo: whether to associate and ask for a C-ECHO, too. That is left out where the endpoint
            takes no new connection now, or speaks TLS. A rejection is an answer.
        called: the AE title to call; None: the endpoint's own.
        timeout: seconds until the check has failed.

    Raises:
        AssertionError: it is not healthy; the message lists everything that was found.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            kernel, status, tree = (
                endpoint.ask(question, block=True, timeout=timeout)
                for question in (GetKernel(), messages.GetStatus(), messages.GetTree())
            )
            found = [
                *_faults_of_tree(tree),
                *_faults_of_connections(kernel, tree, associations),
                *_held(kernel, status),
                *_orphan_threads(endpoint, tree),
                *_orphan_sockets(kernel, status.port),
                *_orphan_files(kernel),
            ]
        except (pykka.ActorDeadError, pykka.Timeout) as error:
            raise AssertionError(f"the endpoint does not answer: {error}") from error
        if not found or time.monotonic() > deadline:
            break
    if not found and echo and _takes_connections(kernel, status):
        found = [*_answers(kernel, status, called, timeout)]
        if not found:
            # The association that was just released must leave nothing behind, either.
            assert_healthy(endpoint, associations=associations, echo=False, timeout=timeout)
    if found:
        raise AssertionError("the endpoint is not healthy:\n- " + "\n- ".join(found))


def _faults_of_tree(tree: TreeNode) -> Iterator[str]:
    names = tuple(child.name for child in tree.children)
    if names != _CHILDREN:
        yield f"expected the children {', '.join(_CHILDREN)}, got {', '.join(names)}"
    for node in _all(tree):
        if node.state == "parked":
            continue  # an association that idles
        if node.state != "running" or node.ref is None or not node.ref.is_alive():
            yield f"{node.name} is {node.state}"


def _faults_of_connections(
    kernel: EndpointKernel, tree: TreeNode, associations: int | None
) -> Iterator[str]:
    records = {f"association {record.id}": record for record in kernel.connections}
    if associations is not None and len(records) != associations:
        yield f"expected {associations} connections, got {', '.join(records) or 'none'}"
    nodes = {node.name: node for child in tree.children for node in child.children}
    for name, record in records.items():
        if record.association is not None and name not in nodes:
            yield f"{name} has a connection and no actor"
        if record.unread_length:
            yield f"{name} has a part of a PDU"
        if record.requests or record.partial is not None:
            yield f"{name} has a request under way"
    handlers = {handler for record in records.values() for handler in record.handlers}
    for name, node in nodes.items():
        if name.startswith("association ") and name not in records:
            yield f"{name} has an actor and no connection"
        if name.startswith("handler ") and node.ref not in handlers:
            yield f"{name} belongs to no connection"


def _held(kernel: EndpointKernel, status: EndpointStatus) -> Iterator[str]:
    # An association keeps its buffer until it is parked.
    served = sum(not record.is_parked for record in kernel.connections)
    if kernel.buffers.lent > served:
        yield f"input buffers are lent: {kernel.buffers.lent} to {served} associations"
    if status.disowned_handlers:
        yield f"threads are disowned: {status.disowned_handlers}"


def _all(tree: TreeNode) -> Iterator[TreeNode]:
    yield tree
    for child in tree.children:
        yield from _all(child)


def _orphan_threads(endpoint: pykka.ActorRef[Any], tree: TreeNode) -> Iterator[str]:
    known = {node.ref for node in _all(tree)}
    for thread in threading.enumerate():
        if not isinstance(thread, ActorThread) or thread.actor_ref in known:
            continue
        ancestor: Any = thread.actor_ref
        while ancestor is not None and ancestor != endpoint:
            ancestor = ancestor.life.parent
        if ancestor is not None and thread.is_alive():
            yield f"a thread belongs to no actor of the tree: {thread.name}"


def _orphan_sockets(kernel: EndpointKernel, port: int) -> Iterator[str]:
    """Look for sockets at the endpoint's end of a connection that no record owns."""
    if not _DESCRIPTORS.is_dir():
        return
    before = _sockets_on(port)
    owned = {record.transport.socket.fileno() for record in kernel.connections}
    if kernel.listening_socket is not None:
        owned.add(kernel.listening_socket.fileno())
    for number in sorted(before - owned):
        yield f"an accepted socket belongs to no connection: descriptor {number}"


def _sockets_on(port: int) -> set[int]:
    found = set()
    for name in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - names, not paths
        with contextlib.suppress(OSError, ValueError):
            if not os.readlink(_DESCRIPTORS / name).startswith("socket:"):  # noqa: PTH115 - no path
                continue
            with socket.socket(fileno=os.dup(int(name))) as twin:
                if twin.family in _FAMILIES and twin.getsockname()[1] == port:
                    found.add(int(name))
    return found


def _orphan_files(kernel: EndpointKernel) -> Iterator[str]:
    directory = kernel.config.spool_directory
    if directory is None:
        return
    owned = {
        request.received.path
        for record in kernel.connections
        for request in record.requests
        if request.received is not None
    }
    for path in Path(directory).glob(".dicom-actors-*.part"):
        if str(path) not in owned:
            yield f"a spool file belongs to no connection: {path.name}"


def _takes_connections(kernel: EndpointKernel, status: EndpointStatus) -> bool:
    limit = kernel.config.max_associations
    return (
        status.state == "running"
        and kernel.config.tls is None
        and (limit is None or status.associations < limit)
    )


def _answers(
    kernel: EndpointKernel, status: EndpointStatus, called: str | None, timeout: float
) -> Iterator[str]:
    title = called or kernel.config.ae_title or "ANY-SCP"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(status.host, status.host)  # noqa: S104 - not bound to
    try:
        with HostilePeer.connect(status.port, host, timeout=timeout) as peer:
            answer = peer.associate(called=title, calling="HEALTH")
            if isinstance(answer, AssociateRj):
                return
            if not isinstance(answer, AssociateAc):
                yield f"expected an answer to an association request, got {answer}"
                return
            peer.send(PDataTf((Pdv(1, True, True, _echo_rq()),)))
            response = peer.receive()
            status_code = (
                decode_command(bytes(response.pdvs[0].data)).status
                if isinstance(response, PDataTf)
                else None
            )
            if status_code is None:
                yield f"expected an answer to a C-ECHO, got {response}"
                return
            peer.send(ReleaseRq())
            peer.expect(ReleaseRp())
    except (OSError, AssertionError) as error:
        yield f"it does not answer on the network: {error or type(error).__name__}"


def _echo_rq() -> bytes:
    return encode_command(
        {
            CommandElement.AFFECTED_SOP_CLASS_UID: _VERIFICATION,
            CommandElement.COMMAND_FIELD: CommandField.C_ECHO_RQ,
            CommandElement.MESSAGE_ID: 1,
        },
        has_data_set=False,
    )
