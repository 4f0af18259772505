"""From presentation data values to messages. PS3.7 6.3, PS3.8 Annex E.

A message is a command set in one or more fragments, then, if the command says so, a data set in
one or more fragments, all on one presentation context and not interleaved with another message.
The assembler collects the command, which is small, and hands on the fragments of the data set,
which may be large, without looking at them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_actors.dimse.command import Command, decode_command
from dicom_actors.errors import InvalidPduError, UnexpectedPduError

if TYPE_CHECKING:
    from collections.abc import Container

    from dicom_actors.pdu import Pdv

__all__ = [
    "MAX_COMMAND_SET_LENGTH",
    "CommandReceived",
    "DataReceived",
    "MessageAssembler",
    "Partial",
]

MAX_COMMAND_SET_LENGTH = 64 * 1024
"""Bytes of a command set that are collected before the peer is thought to be broken."""


@dataclass(frozen=True, slots=True)
class Partial:
    """How far a message has come; between messages there is none.

    Attributes:
        context_id: its presentation context.
        command_set: the bytes of the command set so far.
        command: the command, once complete; then its data set is on its way.
    """

    context_id: int
    command_set: bytes
    command: Command | None = None


@dataclass(slots=True)
class CommandReceived:
    """A command set is complete; without a data set, so is the message."""

    context_id: int
    command: Command


@dataclass(slots=True)
class DataReceived:
    """A fragment of the data set of the last command; `data` is valid until the next read."""

    data: bytes | memoryview
    is_last: bool


class MessageAssembler:
    """Puts messages together, one at a time.

    Args:
        context_ids: the accepted presentation contexts.
        partial: where a predecessor had come to; None starts between messages.
    """

    def __init__(self, context_ids: Container[int], partial: Partial | None = None) -> None:
        self._context_ids = context_ids
        self.partial = partial

    def receive(self, pdv: Pdv) -> CommandReceived | DataReceived | None:
        """Take the next presentation data value.

        Args:
            pdv: what came.

        Returns:
            What it completed, or None for a command fragment that is not the last.

        Raises:
            InvalidPduError: a context that was not accepted, fragments of two messages interleaved,
                a command set that is too long or that cannot be read.
            UnexpectedPduError: a data fragment where a command is due.
        """
        partial = self.partial
        if partial is not None and partial.command is not None:
            if pdv.context_id == partial.context_id and not pdv.is_command:
                if pdv.is_last:
                    self.partial = None
                return DataReceived(pdv.data, pdv.is_last)
            raise self._interleaved(pdv, partial)
        return self._receive_command(pdv, partial)

    def _receive_command(self, pdv: Pdv, partial: Partial | None) -> CommandReceived | None:
        if partial is not None and pdv.context_id != partial.context_id:
            raise self._interleaved(pdv, partial)
        if pdv.context_id not in self._context_ids:
            raise InvalidPduError(f"presentation context {pdv.context_id} was not accepted")
        if not pdv.is_command:
            raise UnexpectedPduError(
                f"expected a command on context {pdv.context_id}, got a data set fragment"
            )
        command_set = bytes(pdv.data)
        if partial is not None:
            command_set = partial.command_set + command_set
        if len(command_set) > MAX_COMMAND_SET_LENGTH:
            raise InvalidPduError(
                f"command set: expected at most {MAX_COMMAND_SET_LENGTH} bytes, "
                f"got {len(command_set)} and more"
            )
        if not pdv.is_last:
            self.partial = Partial(pdv.context_id, command_set)
            return None
        command = decode_command(command_set)
        self.partial = (
            Partial(pdv.context_id, command_set, command) if command.has_data_set else None
        )
        return CommandReceived(pdv.context_id, command)

    @staticmethod
    def _interleaved(pdv: Pdv, partial: Partial) -> InvalidPduError:
        awaited = "data set" if partial.command is not None else "command"
        return InvalidPduError(
            f"expected a {awaited} fragment on context {partial.context_id}, got a "
            f"{'command' if pdv.is_command else 'data set'} fragment on context {pdv.context_id}",
            abort_reason=5,
        )
