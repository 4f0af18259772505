"""All 247 cells of PS3.8 table 9-10, one by one, for both roles."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from dicom_actors.errors import LocalProtocolError, UnexpectedPduError, UnrecognizedPduError
from dicom_actors.pdu import Reject
from dicom_actors.upper_layer import (
    AbortRequest,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataRequest,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    State,
)
from dicom_actors.upper_layer.steps import Occurrence
from dicom_actors.upper_layer.table import ACTIONS, TRANSITIONS, Action, Event
from tests.upper_layer.scenes import (
    ABORT_BYTES,
    AC,
    AC_BYTES,
    DATA_BYTES,
    GARBAGE,
    PDV,
    RELEASE_RP_BYTES,
    RELEASE_RQ_BYTES,
    RJ,
    RJ_BYTES,
    ROUTES,
    RQ,
    RQ_BYTES,
    abort_bytes,
    feed,
    machine_in,
    machine_led_to,
    plain,
)

# Rows of the standard's table: event, state, action, next state.
ROWS = [
    line.split("\t")
    for line in Path(__file__).with_name("ul_state_machine.tsv").read_text("utf-8").splitlines()[1:]
]
TABLE = {(event, state): (action, after) for event, state, action, after in ROWS}

PDU_EVENTS = {
    "Evt3": AC_BYTES,
    "Evt4": RJ_BYTES,
    "Evt6": RQ_BYTES,
    "Evt10": DATA_BYTES,
    "Evt12": RELEASE_RQ_BYTES,
    "Evt13": RELEASE_RP_BYTES,
    "Evt16": ABORT_BYTES,
    "Evt19": GARBAGE,
}
REQUEST_EVENTS = {
    "Evt1": AssociateRequest(RQ),
    "Evt7": AssociateAccept(AC),
    "Evt8": AssociateReject(Reject.CALLED_AE_TITLE_NOT_RECOGNIZED),
    "Evt9": DataRequest((PDV,)),
    "Evt11": ReleaseRequest(),
    "Evt14": ReleaseResponse(),
    "Evt15": AbortRequest(),
}

# What each action does, in order, when the event is the one in the scenes.
EFFECTS = {
    "AE-1": [("OpenTransport",)],
    "AE-2": [("Send", RQ_BYTES)],
    "AE-3": [("Indicate", "AssociateAccepted", AC)],
    "AE-4": [("Indicate", "AssociateRejected", RJ), ("CloseTransport",)],
    "AE-5": [("StartArtim",)],
    "AE-6": [("StopArtim",), ("Indicate", "AssociateIndication", RQ)],
    "AE-7": [("Send", AC_BYTES)],
    "AE-8": [("Send", RJ_BYTES), ("StartArtim",)],
    "DT-1": [("Send", DATA_BYTES)],
    "DT-2": [("Indicate", "DataIndication", (PDV,))],
    "AR-1": [("Send", RELEASE_RQ_BYTES)],
    "AR-2": [("Indicate", "ReleaseIndication")],
    "AR-3": [("Indicate", "ReleaseConfirmation"), ("CloseTransport",)],
    "AR-4": [("Send", RELEASE_RP_BYTES), ("StartArtim",)],
    "AR-5": [("StopArtim",)],
    "AR-6": [("Indicate", "DataIndication", (PDV,))],
    "AR-7": [("Send", DATA_BYTES)],
    "AR-8": [("Indicate", "ReleaseCollision")],
    "AR-9": [("Send", RELEASE_RP_BYTES)],
    "AR-10": [("Indicate", "ReleaseConfirmation")],
    "AA-1": [("Send", abort_bytes(0, 0)), ("StartArtim",)],
    "AA-2": [("StopArtim",), ("CloseTransport",)],
    "AA-3": [("Indicate", "Aborted", 0, 0, None, False), ("CloseTransport",)],
    "AA-4": [("Indicate", "Aborted", 2, 0, None, True)],
    "AA-5": [("StopArtim",)],
    "AA-6": [],
}


def expected_effects(action, event):
    # The provider's aborts say why: 1 for what is no PDU, 2 for one that may not come.
    reason, error = (1, UnrecognizedPduError) if event == "Evt19" else (2, UnexpectedPduError)
    if action == "AA-7":
        return [("Send", abort_bytes(2, reason))]
    if action == "AA-8":
        return [
            ("Send", abort_bytes(2, reason)),
            ("Indicate", "Aborted", 2, reason, error, False),
            ("StartArtim",),
        ]
    return EFFECTS[action]


def expected_state(after, action, role):
    if action == "AR-8":
        return "Sta9" if role is Role.REQUESTOR else "Sta10"
    return "Sta3" if action == "AE-6" else after


def happen(machine, event):
    """Let an event happen; return the effects."""
    if event in PDU_EVENTS:
        effects, left = feed(machine, PDU_EVENTS[event])
        assert left == b""
        return effects
    if event == "Evt17":
        return machine.receive_eof()
    if event == "Evt18":
        return machine.artim_expired()
    if event in {"Evt1", "Evt2", "Evt5"}:
        # These are for one role only, by the interface; the table knows no roles.
        return machine._apply(Occurrence(Event[event.upper()], RQ))
    return machine.request(REQUEST_EVENTS[event])


def name(state):
    return state.name.capitalize()


CELLS = list(product([f"Evt{n}" for n in range(1, 20)], State))


def check_cell(machine, event):
    before, role = machine.state, machine.role
    row = TABLE.get((event, name(before)))
    if row is not None:
        action, after = row
        assert plain(happen(machine, event)) == expected_effects(action, event)
        assert name(machine.state) == expected_state(after, action, role)
    elif event in PDU_EVENTS:
        # There is no connection in these states: what comes all the same is thrown away.
        assert before in {State.STA1, State.STA4}
        assert happen(machine, event) == []
        assert machine.state is before
    else:
        with pytest.raises(LocalProtocolError, match=f"{event}: .*not possible in {name(before)}:"):
            happen(machine, event)
        assert machine.state is before


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("event", "state"), CELLS, ids=lambda value: str(value).split(":")[0])
def test_cell(role, event, state):
    check_cell(machine_in(role, state), event)


@pytest.mark.parametrize(
    ("role", "state", "event"),
    [(*place, f"Evt{n}") for place in ROUTES for n in range(1, 20)],
    ids=lambda value: str(value).split(":")[0],
)
def test_cell_of_a_state_reached_in_life(role, state, event):
    check_cell(machine_led_to(role, state), event)


def test_every_state_can_be_reached():
    assert {state for _, state in ROUTES} == set(State)


def test_the_table_is_the_standards():
    assert len(ROWS) == len(TRANSITIONS) == 123
    assert {
        (f"Evt{event.name[3:]}", name(state)): action.value
        for (event, state), action in TRANSITIONS.items()
    } == {cell: action for cell, (action, _) in TABLE.items()}


def test_every_action_leads_where_the_standard_says():
    after = {action: set(states.split(" or ")) for _, _, action, states in ROWS}

    assert len(ACTIONS) == len(Action) == 28
    assert {
        action.value: {name(outcome.next_state) for outcome in outcomes}
        for action, outcomes in ACTIONS.items()
    } == after


def test_rows_and_actions_stand_in_the_standards_order():
    order = list(Event), list(State)
    cells = [(order[0].index(event), order[1].index(state)) for event, state in TRANSITIONS]

    assert cells == sorted(cells)
    assert list(ACTIONS) == list(Action)


@pytest.mark.parametrize(
    ("event", "role", "state"),
    [
        ("Evt3", Role.ACCEPTOR, State.STA3),
        ("Evt4", Role.ACCEPTOR, State.STA3),
        ("Evt6", Role.REQUESTOR, State.STA4),
        ("Evt10", Role.ACCEPTOR, State.STA6),
        ("Evt12", Role.REQUESTOR, State.STA6),
        ("Evt13", Role.ACCEPTOR, State.STA8),
        ("Evt16", Role.REQUESTOR, State.STA6),
    ],
)
def test_the_pdus_of_the_cells_are_those_that_another_machine_sends(event, role, state):
    sender = machine_led_to(role, state)
    local = {"Evt3": "Evt7", "Evt4": "Evt8", "Evt10": "Evt9", "Evt12": "Evt11"}
    local |= {"Evt13": "Evt14", "Evt16": "Evt15"}

    effects = sender.connected() if event == "Evt6" else happen(sender, local[event])

    assert plain(effects)[0] == ("Send", PDU_EVENTS[event])
