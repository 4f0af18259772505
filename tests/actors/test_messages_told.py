"""Messages that are told to an endpoint, not asked: they are done, the answer is dropped."""

from __future__ import annotations

import contextlib

import pytest
from kit.endpoints import running
from kit.waiting import until

from dicom_actors import Status, connect, messages
from dicom_actors.errors import AssociationError, DimseFailure
from dicom_actors.testing import assert_healthy

pytestmark = pytest.mark.usefixtures("nothing_left")


def is_answered(association):
    with contextlib.suppress(DimseFailure):
        association.echo()
    return True


def test_each_is_done():
    with running() as endpoint:
        ref = endpoint.ref

        def state():
            return ref.ask(messages.GetStatus()).state

        ref.tell(messages.Suspend())
        assert state() == "suspended"
        ref.tell(messages.Resume())
        assert state() == "running"
        ref.tell(messages.SetHandlers({"cecho": lambda event: Status.PROCESSING_FAILURE}))
        with connect("127.0.0.1", endpoint.port, called="TEST") as association:
            ref.tell(messages.Drain(deadline=60))
            assert state() == "draining"
            (open_one,) = ref.ask(messages.ListAssociations())
            ref.tell(messages.AbortAssociation(open_one.id))
            # It is done beside what the association is doing: an echo may still be answered.
            with pytest.raises(AssociationError):
                until(lambda: not is_answered(association))
        until(lambda: state() == "suspended")
        ref.tell(messages.Resume())
        ref.tell(messages.GetStatus())  # of no use, and no harm
        assert_healthy(ref)


@pytest.mark.parametrize(
    "message",
    [messages.Drain(None), messages.SetHandlers([("cstore",)]), messages.AbortAssociation([1])],
    ids=lambda message: type(message).__name__,
)
def test_what_is_wrong_is_logged_and_nothing_more(message, caplog):
    with running() as endpoint:
        endpoint.ref.tell(message)
        assert endpoint.ref.ask(messages.GetStatus()).state == "running"
        until(lambda: f"{type(message).__name__} was told to the endpoint" in caplog.text)
        assert_healthy(endpoint.ref)
