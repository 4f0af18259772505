"""What the actors of an endpoint say to each other.

What host applications say to an endpoint is in `dicom_actors.messages`.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "LOOK",
    "Deliver",
    "DrainDeadline",
    "Drained",
    "GetKernel",
    "Look",
    "PlaceFree",
]


class Look:
    """To an Association, a Watcher: there is something new in what you look after."""


LOOK: Final = Look()
"""The one `Look` that is sent."""


class Deliver:
    """To the EventBus: events are waiting."""


class DrainDeadline:
    """To the Endpoint, from its timer: the time for draining is over."""


class Drained:
    """To the Endpoint: the last connection is over."""


class GetKernel:
    """To the Endpoint, from `dicom_actors.testing`: answers with its tables."""


class PlaceFree:
    """To the Listener: a connection is over, another may be accepted."""
