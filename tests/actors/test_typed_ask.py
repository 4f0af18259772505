"""What `ask` answers is known to type checkers, and is what is answered."""

from __future__ import annotations

import inspect
import typing

import pykka
import pytest
from kit.type_checker import checked

from dicom_actors import Endpoint, messages

USE = """
from typing import assert_type
from dicom_actors import Endpoint, messages

endpoint = Endpoint.start(port=0)
assert_type(endpoint.ask(messages.GetStatus()), messages.EndpointStatus)
assert_type(
    endpoint.ask(messages.ListAssociations(), timeout=5), tuple[messages.AssociationInfo, ...]
)
assert_type(endpoint.ask(messages.GetTree(), block=True), messages.TreeNode)
assert_type(endpoint.ask(messages.Drain(1.0)), messages.DrainReport)
assert_type(endpoint.ask(messages.AbortAssociation(1)), bool)
endpoint.ask(messages.GetStatus()).prot  # E: there is no such attribute
endpoint.ask(messages.GetStatus(), block=False).get()
endpoint.ask(object()).whatever
"""

ASKED = [
    (messages.GetStatus(), messages.EndpointStatus),
    (messages.ListAssociations(), tuple),
    (messages.GetTree(), messages.TreeNode),
    (messages.Suspend(), type(None)),
    (messages.Resume(), type(None)),
    (messages.SetHandlers({}), type(None)),
    (messages.SetLimits(5), type(None)),
    (messages.AbortAssociation(1), bool),
    (messages.Drain(0), messages.DrainReport),
]


def test_type_checkers_know_the_answers(tmp_path) -> None:
    said, wrong, expected = checked(USE, tmp_path)
    assert wrong == expected, said


@pytest.mark.usefixtures("nothing_left")
def test_the_answers_are_of_these_types() -> None:
    class Subscriber(pykka.ThreadingActor):
        pass

    subscriber = Subscriber.start()
    endpoint = Endpoint.start(port=0, host="127.0.0.1")
    subscription = [
        (messages.Subscribe(subscriber), type(None)),
        (messages.Unsubscribe(subscriber), bool),
    ]
    for message, answer in [*ASKED, *subscription]:
        assert type(endpoint.ask(message, timeout=60)) is answer
    endpoint.stop()
    subscriber.stop()


def test_every_message_says_what_it_answers() -> None:
    every = {
        made
        for _, made in inspect.getmembers(messages, inspect.isclass)
        if issubclass(made, messages.Message) and made is not messages.Message
    }
    assert len(every) == 12
    for made in every:
        (base,) = typing.get_args(made.__orig_bases__[0])
        text = base.__forward_arg__ if isinstance(base, typing.ForwardRef) else base
        if isinstance(text, str):
            assert text.removeprefix("tuple[").partition(",")[0] in messages.__all__
