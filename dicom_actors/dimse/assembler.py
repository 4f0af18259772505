"""From presentation data values to messages. PS3.7 6.3, PS3.8 Annex E.

A message is a command set in one or more fragments, then, if the command says so, a data set in
one or more fragments, all on one presentation context and not interleaved with another message.
The assembler collects the command, which is small, and hands on the fragments of the data set,
which may be large, without looking at them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.dimse.command_shapes import CommandDecoder
from dicom_actors.errors import InvalidPduError, UnexpectedPduError

if TYPE_CHECKING:
    from collections.abc import Container

    from dicom_actors.dimse.command import Command
    from dicom_actors.dimse.command_shapes import CommandShapes
    from dicom_actors.errors import RemoteProtocolError
    from dicom_actors.pdu import Pdv

__all__ = [
    "CommandReceived",
    "DataReceived",
    "MessageAssembler",
    "MessageLimits",
    "Partial",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLimits:
    """How much of a message a peer may send before it is thought to be broken.

    Attributes:
        max_command_length: bytes of a command set.
        max_command_fragments: fragments of a command set, the empty ones counted.
        max_empty_fragments: fragments of a data set that have no bytes and are not its last;
            PS3.8 does not forbid them, but they are good for nothing but to keep us busy.
    """

    max_command_length: int = 64 * 1024
    max_command_fragments: int = 1_000
    max_empty_fragments: int = 1_000


_DEFAULT_LIMITS: Final = MessageLimits()


_new_tuple: Final = tuple.__new__


class Partial(NamedTuple):
    """How far a message has come; between messages there is none.

    Attributes:
        context_id: its presentation context.
        command: the command, once complete; then its data set is on its way.
        fragments: those of the command set so far, until it is complete.
        length: their bytes.
    """

    context_id: int
    command: Command | None = None
    fragments: tuple[bytes, ...] = ()
    length: int = 0


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
        limits: what a message may be.
        shapes: what the decoder of commands shares with others; None: nothing.

    Attributes:
        partial: the message that is on its way; None between messages.
    """

    __slots__ = ("_context_ids", "_decoder", "_empty_fragments", "_limits", "partial")

    def __init__(
        self,
        context_ids: Container[int],
        partial: Partial | None = None,
        limits: MessageLimits = _DEFAULT_LIMITS,
        shapes: CommandShapes | None = None,
    ) -> None:
        self._context_ids = context_ids
        self._limits = limits
        self._decoder = CommandDecoder(shapes)
        self._empty_fragments = 0
        self.partial = partial

    def receive(self, pdv: Pdv) -> CommandReceived | DataReceived | None:
        """Take the next presentation data value.

        Args:
            pdv: what came.

        Returns:
            What it completed, or None for a command fragment that is not the last.

        Raises:
            InvalidPduError: a context that was not accepted, fragments of two messages interleaved,
                a command set that cannot be read, or more than the limits allow.
            UnexpectedPduError: a data fragment where a command is due.
        """
        context_id, is_command, is_last, data = pdv
        if is_command:
            command = self.receive_command(context_id, data, is_last=is_last)
            return None if command is None else CommandReceived(context_id, command)
        self.pass_data(context_id, is_last=is_last)
        if not (data or is_last):
            self._count_empty()
        return DataReceived(data, is_last)

    def pass_data(self, context_id: int, *, is_last: bool) -> None:
        """Say whether fragments of a data set may come now, for those who need nothing else.

        Args:
            context_id: the presentation context of all of them.
            is_last: whether the last of them is the last of the data set.

        Raises:
            InvalidPduError: they are not of the message that is on its way.
            UnexpectedPduError: a command is due.
        """
        partial = self.partial
        if partial is None or partial.command is None:
            raise self._no_command(partial, context_id)
        if context_id != partial.context_id:
            raise self._interleaved(partial, context_id, is_command=False)
        if is_last:
            self.partial = None

    def receive_command(
        self, context_id: int, data: bytes | memoryview, *, is_last: bool
    ) -> Command | None:
        """Take the next fragment of a command set; see `receive`, which does more.

        Args:
            context_id: its presentation context.
            data: the fragment.
            is_last: whether it is the last of the command set.

        Returns:
            The command that it completed.

        Raises:
            InvalidPduError: as `receive` does.
        """
        partial = self.partial
        if partial is not None and (partial.command or context_id != partial.context_id):
            raise self._interleaved(partial, context_id, is_command=True)
        if context_id not in self._context_ids:
            raise InvalidPduError(f"presentation context {context_id} was not accepted")
        length = len(data) if partial is None else partial.length + len(data)
        if length > self._limits.max_command_length:
            raise InvalidPduError(
                f"command set: expected at most {self._limits.max_command_length} bytes, "
                f"got {length} and more"
            )
        raw = bytes(data)
        if partial is not None or not is_last:
            fragments = (raw,) if partial is None else (*partial.fragments, raw)
            if not is_last:
                self._keep(Partial(context_id, None, fragments, length))
                return None
            raw = b"".join(fragments)
        command = self._decoder.decode(raw)
        self._empty_fragments = 0
        if command.has_data_set:
            # What `Partial(context_id, command)` does, in half the time.
            self.partial = _new_tuple(Partial, (context_id, command, (), 0))
        else:
            self.partial = None
        return command

    def _keep(self, partial: Partial) -> None:
        limit = self._limits.max_command_fragments
        if len(partial.fragments) >= limit:
            raise InvalidPduError(
                f"command set: expected at most {limit} fragments, got {limit} and more"
            )
        self.partial = partial

    def _count_empty(self) -> None:
        self._empty_fragments += 1
        limit = self._limits.max_empty_fragments
        if self._empty_fragments > limit:
            raise InvalidPduError(f"data set: expected at most {limit} empty fragments, got more")

    def _no_command(self, partial: Partial | None, context_id: int) -> RemoteProtocolError:
        if partial is not None and context_id != partial.context_id:
            return self._interleaved(partial, context_id, is_command=False)
        if context_id not in self._context_ids:
            return InvalidPduError(f"presentation context {context_id} was not accepted")
        return UnexpectedPduError(
            f"expected a command on context {context_id}, got a data set fragment"
        )

    @staticmethod
    def _interleaved(partial: Partial, context_id: int, *, is_command: bool) -> InvalidPduError:
        awaited = "data set" if partial.command is not None else "command"
        return InvalidPduError(
            f"expected a {awaited} fragment on context {partial.context_id}, got a "
            f"{'command' if is_command else 'data set'} fragment on context {context_id}",
            abort_reason=5,
        )
