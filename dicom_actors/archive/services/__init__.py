"""What an archive does for its peers: the event handlers of an endpoint.

Each service is a class that is made of what it needs of the archive and gives its handlers:
`query_retrieve` answers C-FIND, C-GET and C-MOVE; `commitment` takes on storage commitment;
`worklist` and `procedure_steps` are for modalities, `workitems` for whoever works by UPS-RS;
`subscriptions` says who is told of those, `workitem_events` what.
`combined` makes one table of handlers of theirs, where several answer the same service for
different SOP classes. How objects are kept and what queries mean is left to the other rooms.

Standard: PS3.4 B, C, F, J, K, CC.
"""

from __future__ import annotations

from dicom_actors.archive.services.combining import combined
from dicom_actors.archive.services.commitment import (
    CommitmentReporter,
    CommitmentReports,
    OpenRequests,
    StorageCommitment,
)
from dicom_actors.archive.services.peers import Peer
from dicom_actors.archive.services.procedure_steps import ProcedureSteps
from dicom_actors.archive.services.query_retrieve import EXTENDED_NEGOTIATION, QueryRetrieve
from dicom_actors.archive.services.workitems import Workitems
from dicom_actors.archive.services.worklist import Worklist

__all__ = [
    "EXTENDED_NEGOTIATION",
    "CommitmentReporter",
    "CommitmentReports",
    "OpenRequests",
    "Peer",
    "ProcedureSteps",
    "QueryRetrieve",
    "StorageCommitment",
    "Workitems",
    "Worklist",
    "combined",
]
