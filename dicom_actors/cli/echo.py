"""``dicom-actors echo PEER``: whether a peer is there (C-ECHO, PS3.4 A)."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from dicom_actors.cli.connecting import associated, peer_of

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["echo"]


def echo(options: Namespace) -> int:
    """Ask the peer, and say how long the answer took.

    Raises:
        DimseFailure: the peer says that it cannot answer.
        AssociationError: there is no association.
    """
    with associated(options, contexts=("Verification",)) as association:
        begin = time.perf_counter()
        association.echo()
        seconds = time.perf_counter() - begin
        software = association.terms.peer_implementation_version_name
    address = peer_of(options).address
    if options.json:
        print(json.dumps({"peer": address, "seconds": seconds, "software": software}))
    else:
        print(f"{address} answers after {1000 * seconds:.1f} ms")
    return 0
