"""Idle associations are cheap, and a large object is not held in memory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kit.peer import CT_IMAGE, Peer, command_pdus, smallest_data_set
from kit.serving import serving

from dicom_actors.dimse import CommandElement, CommandField
from dicom_actors.pdu import encode_p_data_header, encode_pdu

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIB = 1 << 20
LARGE = 300 * MIB


def resident(pid: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_100_idle_associations_then_300_mib(tmp_path: Path) -> None:
    with serving("--receive-only", "--store", str(tmp_path / "store")) as server:
        idle = [Peer.associated(server.port) for _ in range(100)]
        assert all(peer.echo() == 0 for peer in idle)
        before = resident(server.pid)
        sender = Peer.associated(server.port)
        for pdu in command_pdus(
            {
                CommandElement.AFFECTED_SOP_CLASS_UID: CT_IMAGE,
                CommandElement.COMMAND_FIELD: CommandField.C_STORE_RQ,
                CommandElement.MESSAGE_ID: 1,
                CommandElement.PRIORITY: 0,
                CommandElement.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
            },
            3,
            has_data_set=True,
        ):
            sender.send_bytes(encode_pdu(pdu))
        # The UIDs, and Pixel Data, OB, of exactly the length that remains.
        head = smallest_data_set()
        head += b"\xe0\x7f\x10\x00OB\0\0" + (LARGE - len(head) - 12).to_bytes(4, "little")
        piece = bytes(64 * 1024)
        left = LARGE
        highest = before
        while left:
            part = (head + piece)[: len(piece)] if left == LARGE else piece[:left]
            left -= len(part)
            header = encode_p_data_header(3, len(part), is_command=False, is_last=not left)
            sender.send_bytes(header + part)
            if left % (16 * MIB) == 0:
                highest = max(highest, resident(server.pid))
        assert sender.status() == 0
        highest = max(highest, resident(server.pid))
        assert highest - before < 64 * MIB
        assert all(peer.echo() == 0 for peer in idle)
        for peer in (*idle, sender):
            peer.close()
        (stored,) = (tmp_path / "store").rglob("*.dcm")
        assert stored.stat().st_size > LARGE
