"""``dicom-actors peers``: the peers that have a name."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from dicom_actors.cli.peers import load_peers
from dicom_actors.cli.terminal import print_table, show_anything
from dicom_actors.data.forms.text import printable

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["list_peers"]


def list_peers(options: Namespace) -> int:
    """Print what the configuration file has.

    Raises:
        UsageError: there is something wrong with the file.
    """
    peers = load_peers(options.config)
    show_anything()
    if options.json:
        for name, peer in peers.items():
            print(json.dumps({"name": name, "address": peer.address, **asdict(peer)}))
        return 0
    rows = [
        (
            printable(name),
            printable(peer.address),
            printable(peer.calling or ""),
            "yes" if peer.tls else "",
            printable(peer.user or ""),
        )
        for name, peer in peers.items()
    ]
    print_table(("Name", "Address", "Calling", "TLS", "User"), rows)
    return 0
