"""Processes that work for this one, and are supervised.

What ends a process (a segmentation fault, ``os._exit``, a C extension that never returns) ends one
of these, and not the endpoint. `Isolated` runs an event handler in such processes::

    from dicom_actors.processes import Isolated

    def main():
        store = Isolated(keep, deadline=30, workers=2)
        endpoint = Endpoint.start(port=4242, event_handlers={"cstore": store})

The way through it: `channel` carries messages and descriptors between two processes, `child` starts
a process, kills it, and sees to it that none outlives its parent, whatever ends that; `child_main`
is where such a process begins. On these stand `isolated` with what runs there (`handler_worker`,
and the events that it gives to handlers: `handed_over`), and `link`, which several askers at once
may use, in both directions. What DICOM means is left to others.
"""

from __future__ import annotations

from dicom_actors.processes.isolated import Isolated

__all__ = ["Isolated"]
