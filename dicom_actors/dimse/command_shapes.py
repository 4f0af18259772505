"""Command sets read by their shape: what a peer sends again and again. PS3.7 6.3.1, Annex E.

The commands of a sender differ in a Message ID, a SOP Instance UID and perhaps a status; all that
stands around these is the same, byte for byte, and has been read before. `command` reads what has
not.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.dimse.command import (
    HEADER,
    Command,
    CommandElement,
    decode_command,
    message_id_element,
    uid_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CommandDecoder"]

MAX_SHAPES: Final = 8
"""Shapes that are kept; few senders have more than one kind of request and of SOP class at once."""

MAX_SHAPE_LENGTH: Final = 512
"""Bytes of a command set of which a shape is kept; the ordinary ones have 60 to 250."""

_STATUS: Final = int(CommandElement.STATUS)
_SOP_INSTANCE_UIDS: Final = frozenset(
    map(
        int,
        (CommandElement.AFFECTED_SOP_INSTANCE_UID, CommandElement.REQUESTED_SOP_INSTANCE_UID),
    )
)
# Elements whose value may be any, with its length in bytes and its format; beside these, only
# the SOP Instance UID may differ between two commands of a shape.
_SLOTS: Final = {
    int(CommandElement.GROUP_LENGTH): (4, "L"),
    **{
        int(element): (2, "H")
        for element in (
            CommandElement.MESSAGE_ID,
            CommandElement.MESSAGE_ID_BEING_RESPONDED_TO,
            CommandElement.STATUS,
            CommandElement.NUMBER_OF_REMAINING_SUBOPERATIONS,
            CommandElement.NUMBER_OF_COMPLETED_SUBOPERATIONS,
            CommandElement.NUMBER_OF_FAILED_SUBOPERATIONS,
            CommandElement.NUMBER_OF_WARNING_SUBOPERATIONS,
        )
    },
}

_new_tuple: Final = tuple.__new__


class _Shape(NamedTuple):
    """What the commands of a shape have in common, and where they differ.

    A command is its head, the SOP Instance UID if it has one, and its tail.

    Attributes:
        unpack: reads the head: what is fixed and what is not, in turn; the length of the UID is
            the last.
        head_length: bytes of the head.
        fixed: what is fixed in the head.
        message_id_at: where the Message ID is in what `unpack` gives.
        status_at: likewise the status; 0 where it is fixed, or absent.
        tail: what follows the UID; None where there is no UID, nor anything after the head.
        model: the command that the shape was taken from.
    """

    unpack: Callable[[bytes], tuple[bytes | int, ...]]
    head_length: int
    fixed: tuple[bytes | int, ...]
    message_id_at: int
    status_at: int
    tail: bytes | None
    model: Command


class CommandShapes:
    """The shapes that were met last, for decoders to begin with; any thread may use it."""

    __slots__ = ("recent",)

    def __init__(self) -> None:
        self.recent: tuple[_Shape, ...] = ()

    def add(self, shape: _Shape) -> None:
        """Keep one more; of two at the same time one may be lost."""
        self.recent = (shape, *self.recent)[:MAX_SHAPES]


class CommandDecoder:
    """Reads the command sets of one peer; gives and raises what `decode_command` does.

    It keeps a few shapes, so that there is one for each association.

    Args:
        shared: what others have met, and are told of. None: it learns for itself alone, and the
            first command leaves nothing behind: many an association has no second one.
    """

    __slots__ = ("_is_new", "_shapes", "_shared")

    def __init__(self, shared: CommandShapes | None = None) -> None:
        self._shared = shared
        self._shapes = [] if shared is None else list(shared.recent)
        self._is_new = shared is None

    def decode(self, raw: bytes) -> Command:
        """Read a command set.

        Args:
            raw: the whole command set.

        Raises:
            InvalidPduError: as `decode_command`.
        """
        length = len(raw)
        for shape in self._shapes:
            unpack, head_length, fixed, message_id_at, status_at, tail, model = shape
            if length < head_length:
                continue
            values = unpack(raw)
            if values[::2] != fixed:
                continue
            if tail is None:
                if length != head_length:
                    continue
                uid = ""
            else:
                uid_length: int = values[-1]  # type: ignore[assignment]  # as the format says
                end = head_length + uid_length
                if end + len(tail) != length or not raw.endswith(tail):
                    continue
                uid = uid_text(raw[head_length:end])
            if shape is not self._shapes[0]:
                self._shapes.remove(shape)
                self._shapes.insert(0, shape)
            _, command_field, _, sop_class_uid, _, has_data_set, status = model
            if status_at:
                status = values[status_at]  # type: ignore[assignment]
            # What `Command(...)` does, in half the time.
            return _new_tuple(
                Command,
                (
                    raw,
                    command_field,
                    values[message_id_at],
                    sop_class_uid,
                    uid,
                    has_data_set,
                    status,
                ),
            )
        command = decode_command(raw)
        if not self._is_new:
            self._learn(command)
        self._is_new = False
        return command

    def _learn(self, command: Command) -> None:
        if len(command.raw) <= MAX_SHAPE_LENGTH:
            shape = _shape_of(command)
            if shape is not None:
                self._shapes.insert(0, shape)
                del self._shapes[MAX_SHAPES:]
                if self._shared is not None:
                    self._shared.add(shape)


def _shape_of(command: Command) -> _Shape | None:
    """Return the shape of a command that was read; None if it has no use."""
    raw = command.raw
    end = len(raw)
    slots: dict[int, int] = {}
    seen: set[int] = set()
    code, position, fixed_from = "<", 0, 0
    head_length, tail = end, None
    while position < end:
        group, element, length = HEADER.unpack_from(raw, position)
        if group:
            break  # nobody reads what stands behind the command elements of a response
        if element in seen or (element in _SOP_INSTANCE_UIDS and tail is not None):
            return None  # which of the two counts is for the general decoder to know
        seen.add(element)
        position += 8
        if tail is None and element in _SOP_INSTANCE_UIDS:
            code += f"{position - 4 - fixed_from}sL"
            head_length, tail = position, raw[position + length :]
        elif tail is None and _SLOTS.get(element, (-1,))[0] == length:
            code += f"{position - fixed_from}s{_SLOTS[element][1]}"
            slots[element] = 2 * len(slots) + 1
            fixed_from = position + length
        position += length
    if tail is None:
        code += f"{end - fixed_from}s"
    message_id_at = slots.get(message_id_element(command.command_field))
    if message_id_at is None:
        return None
    unpack = Struct(code).unpack_from
    return _Shape(
        unpack,
        head_length,
        unpack(raw)[::2],
        message_id_at,
        slots.get(_STATUS, 0),
        tail,
        command,
    )
