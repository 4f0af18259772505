r"""Fault injection for tests of endpoints, also those of host applications.

What there is, each with an example that the tests of this package run:

An actor that crashes at a named place::

    from dicom_actors.testing import crash_at

    with crash_at(endpoint, "association.dispatch"):
        ...  # the next message makes its Association crash; its sender sees one failure at most

A handler that fails on chosen calls::

    from dicom_actors import Endpoint
    from dicom_actors.testing import Fault, FaultyHandler

    faults = {2: Fault.RAISE, 3: Fault.HANG, 4: OSError("the disk is full")}
    with FaultyHandler(my_store, faults=faults) as store:
        endpoint = Endpoint.start(0, event_handlers={"cstore": store})
        ...  # the third object hangs until store.release(), or the end of the block

A peer that keeps no rules::

    from dicom_actors.testing import HostilePeer

    with HostilePeer.connect(port) as peer:
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        peer.expect_abort(source=0, reason=0)

A bad line between a real client and a real server::

    from dicom_actors.testing import Cut, Delay, FaultyProxy

    with FaultyProxy(port, to_server=[Delay(0.05), Cut(at=10_000)]) as proxy:
        ...  # a client that connects to proxy.port

Time that passes when the test says so::

    from dicom_actors import Endpoint
    from dicom_actors.supervision import System
    from dicom_actors.testing import ManualClock

    clock = ManualClock()
    endpoint = Endpoint.start(0, system=System(clock=clock))
    clock.advance(30.0)  # whoever has not asked for an association by now is disconnected

And the question whether the endpoint is well after all that::

    from dicom_actors.testing import assert_healthy

    assert_healthy(endpoint, associations=0)

For pytest there are fixtures (see `dicom_actors.testing.pytest_plugin`): ``dicom_endpoint``
starts endpoints and stops them, ``dicom_clock`` is their clock, ``dicom_no_leaks`` looks for
threads and descriptors that a test leaves behind.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dicom_actors.supervision import ManualClock
    from dicom_actors.testing.crash_points import crash_at, do_at
    from dicom_actors.testing.fault_points import CRASH_POINTS, InjectedCrash
    from dicom_actors.testing.faulty_handler import Fault, FaultyHandler
    from dicom_actors.testing.faulty_link import Corrupt, Cut, Delay, LinkFault, Stall
    from dicom_actors.testing.faulty_proxy import FaultyProxy
    from dicom_actors.testing.health import assert_healthy
    from dicom_actors.testing.hostile_peer import HostilePeer

__all__ = [
    "CRASH_POINTS",
    "Corrupt",
    "Cut",
    "Delay",
    "Fault",
    "FaultyHandler",
    "FaultyProxy",
    "HostilePeer",
    "InjectedCrash",
    "LinkFault",
    "ManualClock",
    "Stall",
    "assert_healthy",
    "crash_at",
    "do_at",
]

# Loaded when first used: pytest imports this package for its plugin in every run.
_HOMES = {
    "CRASH_POINTS": "dicom_actors.testing.fault_points",
    "Corrupt": "dicom_actors.testing.faulty_link",
    "Cut": "dicom_actors.testing.faulty_link",
    "Delay": "dicom_actors.testing.faulty_link",
    "Fault": "dicom_actors.testing.faulty_handler",
    "FaultyHandler": "dicom_actors.testing.faulty_handler",
    "FaultyProxy": "dicom_actors.testing.faulty_proxy",
    "HostilePeer": "dicom_actors.testing.hostile_peer",
    "InjectedCrash": "dicom_actors.testing.fault_points",
    "LinkFault": "dicom_actors.testing.faulty_link",
    "ManualClock": "dicom_actors.supervision",
    "Stall": "dicom_actors.testing.faulty_link",
    "assert_healthy": "dicom_actors.testing.health",
    "crash_at": "dicom_actors.testing.crash_points",
    "do_at": "dicom_actors.testing.crash_points",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
