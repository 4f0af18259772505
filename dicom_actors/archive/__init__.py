"""An archive: objects that are stored, found, served and moved, on the public interface alone.

::

    from dicom_actors import Endpoint
    from dicom_actors.archive import Archive

    archive = Archive.open("dicom-archive")
    endpoint = Endpoint.start(port=4242, event_handlers=archive.event_handlers())

**The way of an object.** Its handler has it described (`upkeep.intake`) and looks whether it is
there. A small one goes to the actor `store`, which writes what waits behind one another into a
journal and synchronizes that once; a large one is a file in ``incoming/`` already, and is
synchronized there. Then the actor `index` writes what waits into the index, in one transaction,
and answers: that is the Success. (Rows of what is in a journal outlive a power cut by that: a
start finds them again there, so that they need no synchronization of their own.) Later `unpacker`
makes a file of its own of what is in a journal, and brings each to its place,
``<study>/<series>/<instance>.dcm``. The index always says where an object is now, so nothing has
to wait for that. Where nothing is synchronized, a large one has its place at once.

What a crash leaves is in ``incoming/`` and the journals, and nowhere else: a start looks there
alone. See `actors` for the tree, `files` for the bytes, `index` for the rows, `query` for what
may be asked, `services` for the handlers, `maintenance` for the care of it all.

Way down: `archive` > `services` > `query`; `archive` > `actors` > `upkeep` > `files`, `index`.
"""

from __future__ import annotations

from dicom_actors.archive.archive import ActorInfo, Archive, Stats
from dicom_actors.archive.index import QueueStatus, Result, StoredInstance
from dicom_actors.archive.objects import Added, Origin
from dicom_actors.archive.services import Peer
from dicom_actors.archive.settings import ArchiveSettings

__all__ = [
    "ActorInfo",
    "Added",
    "Archive",
    "ArchiveSettings",
    "Origin",
    "Peer",
    "QueueStatus",
    "Result",
    "Stats",
    "StoredInstance",
]
