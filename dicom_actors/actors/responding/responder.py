"""The way of messages from a Handler to the peer, while its request runs. PS3.7 9.1.

Pending responses, and sub-operations on the same association. Everything is sent with
back-pressure: the Handler goes on when the last message is on the wire, so that a peer that reads
slowly slows the Handler down and nothing piles up.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from dicom_actors.actors.responding.loop_task import LoopTask
from dicom_actors.actors.responding.pulling import AsyncPull, Pull
from dicom_actors.data.dataset.encoder import encode_to_send, joined
from dicom_actors.dimse import Status, encode_response, fragment
from dicom_actors.dimse.fragmenter import max_fragment_length
from dicom_actors.dimse.pieces import fragment_pieces
from dicom_actors.errors import EncodeError
from dicom_actors.pdu import encode_p_data_header, p_data_buffers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Request
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.data import DataSet
    from dicom_actors.dimse import Command
    from dicom_actors.dimse.pieces import Piece
    from dicom_actors.pdu import Pdv
    from dicom_actors.storage.outgoing import Transcode
    from dicom_actors.upper_layer import AcceptedContext, Negotiated

_logger = logging.getLogger(__name__)

__all__ = ["Responder", "encode_for"]


class Responder:
    """See the module.

    Args:
        kernel: the endpoint's tables.
        record: the connection's record.
        request: the request whose handler runs.

    Attributes:
        negotiated: the terms of the association.
        context: the presentation context of the request.
        more: further elements of the final response if the handler fails, by their numbers.
    """

    def __init__(self, kernel: EndpointKernel, record: ConnectionRecord, request: Request) -> None:
        assert record.negotiated is not None
        self._kernel = kernel
        self._record = record
        self._request = request
        self.negotiated: Negotiated = record.negotiated
        self.more: dict[int, int | str | bytes] = {}
        self._command_sets: dict[tuple[int, bool], bytes] = {}
        self._max_fragment_length = max_fragment_length(self.negotiated.peer_max_pdu_length)
        assert request.context is not None
        self.context: AcceptedContext = request.context

    @property
    def transcode(self) -> Transcode | None:
        """What gives an object another transfer syntax; see `EndpointConfig.transcode`."""
        return self._kernel.config.transcode

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer, or anybody else, wants the Handler to give up."""
        return self._record.is_cancelled(self._request.serial)

    @property
    def is_late(self) -> bool:
        """Whether the Handler's time is up."""
        return self._request.is_warned

    @property
    def status_when_given_up(self) -> int:
        """The final status, once `is_cancelled`: the peer's wish, or our own deadline."""
        return Status.PROCESSING_FAILURE if self.is_late else Status.CANCEL

    def pull(self, items: Iterable[Any] | AsyncIterable[Any]) -> Pull | AsyncPull:
        """Return an iterator over what a handler returned; whoever asks for one closes it.

        It ends early if the Handler is to give up.
        """
        if isinstance(items, AsyncIterable):
            task = LoopTask(self._kernel.event_loop, self._record, self._request)
            return AsyncPull(task, items)
        return Pull(items)

    def respond(
        self,
        status: int = Status.PENDING,
        data_set: DataSet | None = None,
        more: Mapping[int, int | str | bytes] | None = None,
    ) -> bool:
        """Send a pending response, and wait until it is on the wire.

        Args:
            status: Pending (FF00H), or Pending with a warning (FF01H).
            data_set: its identifier; None if it has none.
            more: further elements of the command set, by their numbers.

        Returns:
            Whether to go on; False if nobody wants more.

        Raises:
            EncodeError: `data_set` cannot be encoded.
        """
        if self.is_cancelled:
            return False
        data = None if data_set is None else encode_for(data_set, self.context)
        command_set = self._command_set(status, more, has_data_set=data is not None)
        if data is None:
            buffers: list[bytes | memoryview] = [command_set]
        elif len(data) <= self._max_fragment_length:
            # Copying a few bytes takes less than the system does to gather them.
            header = encode_p_data_header(
                self.context.context_id, len(data), is_command=False, is_last=True
            )
            buffers = [command_set + header + data]
        else:
            buffers = [command_set, *self._framed(data, is_command=False)]
        return self._send(buffers, self._kernel.config.handler_timeout)

    def _command_set(
        self, status: int, more: Mapping[int, int | str | bytes] | None, *, has_data_set: bool
    ) -> bytes:
        """Return the PDUs of the command set of a pending response; most say the same."""
        key = (status, has_data_set)
        pdus = self._command_sets.get(key) if more is None else None
        if pdus is None:
            assert self._request.command is not None
            command_set = encode_response(
                self._request.command, status, has_data_set=has_data_set, more=more
            )
            pdus = b"".join(self._framed(command_set, is_command=True))
            if more is None:
                self._command_sets[key] = pdus
        return pdus

    def _framed(self, data: bytes, *, is_command: bool) -> list[bytes | memoryview]:
        return _framed(
            fragment(
                self.context.context_id,
                data,
                self.negotiated.peer_max_pdu_length,
                is_command=is_command,
            )
        )

    def invoke(
        self,
        context: AcceptedContext,
        command_set: bytes,
        message_id: int,
        pieces: Sequence[Piece],
    ) -> Command | None:
        """Send a request of our own, and wait for its response.

        Args:
            context: its presentation context, on which we may be the user.
            command_set: its command set.
            message_id: what `next_message_id` gave for it.
            pieces: its data set.

        Returns:
            The response; None if the peer did not answer in time, or nobody wants it any more.
        """
        context_id, length = context.context_id, self.negotiated.peer_max_pdu_length
        # All of it at once: nobody else's message may come between two fragments of this one.
        pdvs = chain(
            fragment(context_id, command_set, length, is_command=True),
            fragment_pieces(context_id, pieces, length),
        )
        self._send(_framed(pdvs), self._kernel.config.dimse_timeout)
        self._be_relieved()
        response = self._record.outgoing.wait(self._request.serial, message_id)
        if response is None and (changed := self._record.transport.changed) is not None:
            self.warn(_logger, "the association ends within an object: %s", changed)
        return response

    def warn(self, logger: logging.Logger, text: str, *args: object) -> None:
        """Log what went wrong, without waiting for the log."""
        self._kernel.system.log.write(logger, logging.WARNING, text, *args)

    def next_message_id(self) -> int:
        """The Message ID for a request of our own; `invoke` must follow."""
        return self._record.outgoing.begin()

    def _send(self, buffers: Sequence[bytes | memoryview], timeout: float | None) -> bool:
        record, serial = self._record, self._request.serial
        record.pdu_log.sent(buffers, self._kernel)
        sent = record.send_interim(serial, buffers)
        # While the peer does not take what is sent, it is the peer who must go on.
        due = self._request.due = None if sent is False else self._deadline(timeout)
        if sent is False:
            self._be_relieved()
            record.poke()
            sent = record.wait_until_sent(serial)
            self._request.due = self._deadline(timeout)
        elif not record.inline and self._is_earlier(due):
            record.poke()
        return sent is True

    def _be_relieved(self) -> None:
        """Let the association be served by another thread while this one waits for the peer."""
        if self._record.inline == self._request.serial:
            self._kernel.attendance.relieve(self._record)

    def _deadline(self, timeout: float | None) -> float | None:
        return None if timeout is None else self._kernel.clock.monotonic() + timeout

    def _is_earlier(self, deadline: float | None) -> bool:
        """Whether the Association would look at the clock too late."""
        armed = self._record.incarnation.deadlines.handler
        return deadline is not None and (armed is None or deadline < armed)


def _framed(pdvs: Iterable[Pdv]) -> list[bytes | memoryview]:
    """Return values as PDUs, one for each, in pieces."""
    return [part for pdv in pdvs for part in p_data_buffers((pdv,))]


def encode_for(data_set: DataSet, context: AcceptedContext) -> bytes:
    """Encode what is sent on a presentation context.

    Text that the declared character set does not hold gets the one that holds all (PS3.3
    C.12.1.1.2).

    Raises:
        EncodeError: it cannot be encoded.
    """
    try:
        return joined(encode_to_send(data_set, context.transfer_syntax))
    except EncodeError as error:
        declared = data_set.copy()
        declared.SpecificCharacterSet = "ISO_IR 192"
        try:
            return joined(encode_to_send(declared, context.transfer_syntax))
        except EncodeError:
            raise error from None
