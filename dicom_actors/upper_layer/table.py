"""The state machine of the upper layer, as data: PS3.8 table 9-10.

`TRANSITIONS` holds its 123 cells and `ACTIONS` its 28 actions, in the order in which the
standard prints them. A cell that is not here cannot happen. Everything that decides about a
state is in this module, but for the two actions with two outcomes: `machine.py` chooses there.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

__all__ = ["ACTIONS", "TRANSITIONS", "Action", "Event", "Outcome", "Role", "State", "Step"]


class Role(Enum):
    """Who asked for the association."""

    REQUESTOR = "requestor"
    ACCEPTOR = "acceptor"


class State(Enum):
    """The states of PS3.8 tables 9-1 to 9-5."""

    __hash__ = object.__hash__  # the same, without a call: they are keys of the tables

    STA1 = "Sta1: idle"
    STA2 = "Sta2: TCP open, waiting for A-ASSOCIATE-RQ"
    STA3 = "Sta3: waiting for the local user to accept or reject"
    STA4 = "Sta4: waiting for the TCP connection to open"
    STA5 = "Sta5: waiting for A-ASSOCIATE-AC or A-ASSOCIATE-RJ"
    STA6 = "Sta6: association open"
    STA7 = "Sta7: waiting for A-RELEASE-RP"
    STA8 = "Sta8: waiting for the local user to answer a release"
    STA9 = "Sta9: collision, requestor: waiting for the local user to answer"
    STA10 = "Sta10: collision, acceptor: waiting for A-RELEASE-RP"
    STA11 = "Sta11: collision, requestor: waiting for A-RELEASE-RP"
    STA12 = "Sta12: collision, acceptor: waiting for the local user to answer"
    STA13 = "Sta13: association gone, waiting for the TCP connection to close"

    def __str__(self) -> str:
        return self.value


class Event(Enum):
    """The events of PS3.8 table 9-10, top to bottom."""

    __hash__ = object.__hash__  # the same, without a call: they are keys of the tables

    EVT1 = "Evt1: A-ASSOCIATE request primitive"
    EVT2 = "Evt2: TCP connection opened (connect confirmed)"
    EVT3 = "Evt3: A-ASSOCIATE-AC PDU received"
    EVT4 = "Evt4: A-ASSOCIATE-RJ PDU received"
    EVT5 = "Evt5: incoming TCP connection"
    EVT6 = "Evt6: A-ASSOCIATE-RQ PDU received"
    EVT7 = "Evt7: A-ASSOCIATE response primitive, accept"
    EVT8 = "Evt8: A-ASSOCIATE response primitive, reject"
    EVT9 = "Evt9: P-DATA request primitive"
    EVT10 = "Evt10: P-DATA-TF PDU received"
    EVT11 = "Evt11: A-RELEASE request primitive"
    EVT12 = "Evt12: A-RELEASE-RQ PDU received"
    EVT13 = "Evt13: A-RELEASE-RP PDU received"
    EVT14 = "Evt14: A-RELEASE response primitive"
    EVT15 = "Evt15: A-ABORT request primitive"
    EVT16 = "Evt16: A-ABORT PDU received"
    EVT17 = "Evt17: TCP connection closed"
    EVT18 = "Evt18: ARTIM timer ran out"
    EVT19 = "Evt19: unknown or malformed PDU received"

    def __str__(self) -> str:
        return self.value


class Action(Enum):
    """The actions of PS3.8 tables 9-6 to 9-9."""

    __hash__ = object.__hash__  # the same, without a call: they are keys of the tables

    AE_1 = "AE-1"
    AE_2 = "AE-2"
    AE_3 = "AE-3"
    AE_4 = "AE-4"
    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_1 = "AR-1"
    AR_2 = "AR-2"
    AR_3 = "AR-3"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_6 = "AR-6"
    AR_7 = "AR-7"
    AR_8 = "AR-8"
    AR_9 = "AR-9"
    AR_10 = "AR-10"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


class Step(Enum):
    """The single things that actions do."""

    __hash__ = object.__hash__  # the same, without a call: they are keys of the tables

    OPEN_TRANSPORT = "open the transport connection"
    CLOSE_TRANSPORT = "close the transport connection"
    START_ARTIM = "start or restart the ARTIM timer"
    STOP_ARTIM = "stop the ARTIM timer"
    SEND_ASSOCIATE_RQ = "send A-ASSOCIATE-RQ"
    SEND_ASSOCIATE_AC = "send A-ASSOCIATE-AC"
    SEND_ASSOCIATE_RJ = "send A-ASSOCIATE-RJ"
    SEND_P_DATA_TF = "send P-DATA-TF"
    SEND_RELEASE_RQ = "send A-RELEASE-RQ"
    SEND_RELEASE_RP = "send A-RELEASE-RP"
    SEND_USER_ABORT = "send A-ABORT, source service user"
    SEND_PROVIDER_ABORT = "send A-ABORT, source service provider"
    INDICATE_ASSOCIATE = "A-ASSOCIATE indication"
    CONFIRM_ACCEPTED = "A-ASSOCIATE confirmation, accepted"
    CONFIRM_REJECTED = "A-ASSOCIATE confirmation, rejected"
    INDICATE_DATA = "P-DATA indication"
    INDICATE_RELEASE = "A-RELEASE indication"
    INDICATE_COLLISION = "A-RELEASE indication, release collision"
    CONFIRM_RELEASE = "A-RELEASE confirmation"
    INDICATE_ABORT = "A-ABORT or A-P-ABORT indication, as the peer says"
    INDICATE_PROVIDER_ABORT = "A-P-ABORT indication, since the peer broke the protocol"
    INDICATE_CONNECTION_LOST = "A-P-ABORT indication, since the connection is gone"


class Outcome(NamedTuple):
    """What an action does, in order, and the state after it."""

    steps: tuple[Step, ...]
    next_state: State


TRANSITIONS: Final[dict[tuple[Event, State], Action]] = {
    (Event.EVT1, State.STA1): Action.AE_1,
    (Event.EVT2, State.STA4): Action.AE_2,
    (Event.EVT3, State.STA2): Action.AA_1,
    (Event.EVT3, State.STA3): Action.AA_8,
    (Event.EVT3, State.STA5): Action.AE_3,
    (Event.EVT3, State.STA6): Action.AA_8,
    (Event.EVT3, State.STA7): Action.AA_8,
    (Event.EVT3, State.STA8): Action.AA_8,
    (Event.EVT3, State.STA9): Action.AA_8,
    (Event.EVT3, State.STA10): Action.AA_8,
    (Event.EVT3, State.STA11): Action.AA_8,
    (Event.EVT3, State.STA12): Action.AA_8,
    (Event.EVT3, State.STA13): Action.AA_6,
    (Event.EVT4, State.STA2): Action.AA_1,
    (Event.EVT4, State.STA3): Action.AA_8,
    (Event.EVT4, State.STA5): Action.AE_4,
    (Event.EVT4, State.STA6): Action.AA_8,
    (Event.EVT4, State.STA7): Action.AA_8,
    (Event.EVT4, State.STA8): Action.AA_8,
    (Event.EVT4, State.STA9): Action.AA_8,
    (Event.EVT4, State.STA10): Action.AA_8,
    (Event.EVT4, State.STA11): Action.AA_8,
    (Event.EVT4, State.STA12): Action.AA_8,
    (Event.EVT4, State.STA13): Action.AA_6,
    (Event.EVT5, State.STA1): Action.AE_5,
    (Event.EVT6, State.STA2): Action.AE_6,
    (Event.EVT6, State.STA3): Action.AA_8,
    (Event.EVT6, State.STA5): Action.AA_8,
    (Event.EVT6, State.STA6): Action.AA_8,
    (Event.EVT6, State.STA7): Action.AA_8,
    (Event.EVT6, State.STA8): Action.AA_8,
    (Event.EVT6, State.STA9): Action.AA_8,
    (Event.EVT6, State.STA10): Action.AA_8,
    (Event.EVT6, State.STA11): Action.AA_8,
    (Event.EVT6, State.STA12): Action.AA_8,
    (Event.EVT6, State.STA13): Action.AA_7,
    (Event.EVT7, State.STA3): Action.AE_7,
    (Event.EVT8, State.STA3): Action.AE_8,
    (Event.EVT9, State.STA6): Action.DT_1,
    (Event.EVT9, State.STA8): Action.AR_7,
    (Event.EVT10, State.STA2): Action.AA_1,
    (Event.EVT10, State.STA3): Action.AA_8,
    (Event.EVT10, State.STA5): Action.AA_8,
    (Event.EVT10, State.STA6): Action.DT_2,
    (Event.EVT10, State.STA7): Action.AR_6,
    (Event.EVT10, State.STA8): Action.AA_8,
    (Event.EVT10, State.STA9): Action.AA_8,
    (Event.EVT10, State.STA10): Action.AA_8,
    (Event.EVT10, State.STA11): Action.AA_8,
    (Event.EVT10, State.STA12): Action.AA_8,
    (Event.EVT10, State.STA13): Action.AA_6,
    (Event.EVT11, State.STA6): Action.AR_1,
    (Event.EVT12, State.STA2): Action.AA_1,
    (Event.EVT12, State.STA3): Action.AA_8,
    (Event.EVT12, State.STA5): Action.AA_8,
    (Event.EVT12, State.STA6): Action.AR_2,
    (Event.EVT12, State.STA7): Action.AR_8,
    (Event.EVT12, State.STA8): Action.AA_8,
    (Event.EVT12, State.STA9): Action.AA_8,
    (Event.EVT12, State.STA10): Action.AA_8,
    (Event.EVT12, State.STA11): Action.AA_8,
    (Event.EVT12, State.STA12): Action.AA_8,
    (Event.EVT12, State.STA13): Action.AA_6,
    (Event.EVT13, State.STA2): Action.AA_1,
    (Event.EVT13, State.STA3): Action.AA_8,
    (Event.EVT13, State.STA5): Action.AA_8,
    (Event.EVT13, State.STA6): Action.AA_8,
    (Event.EVT13, State.STA7): Action.AR_3,
    (Event.EVT13, State.STA8): Action.AA_8,
    (Event.EVT13, State.STA9): Action.AA_8,
    (Event.EVT13, State.STA10): Action.AR_10,
    (Event.EVT13, State.STA11): Action.AR_3,
    (Event.EVT13, State.STA12): Action.AA_8,
    (Event.EVT13, State.STA13): Action.AA_6,
    (Event.EVT14, State.STA8): Action.AR_4,
    (Event.EVT14, State.STA9): Action.AR_9,
    (Event.EVT14, State.STA12): Action.AR_4,
    (Event.EVT15, State.STA3): Action.AA_1,
    (Event.EVT15, State.STA4): Action.AA_2,
    (Event.EVT15, State.STA5): Action.AA_1,
    (Event.EVT15, State.STA6): Action.AA_1,
    (Event.EVT15, State.STA7): Action.AA_1,
    (Event.EVT15, State.STA8): Action.AA_1,
    (Event.EVT15, State.STA9): Action.AA_1,
    (Event.EVT15, State.STA10): Action.AA_1,
    (Event.EVT15, State.STA11): Action.AA_1,
    (Event.EVT15, State.STA12): Action.AA_1,
    (Event.EVT16, State.STA2): Action.AA_2,
    (Event.EVT16, State.STA3): Action.AA_3,
    (Event.EVT16, State.STA5): Action.AA_3,
    (Event.EVT16, State.STA6): Action.AA_3,
    (Event.EVT16, State.STA7): Action.AA_3,
    (Event.EVT16, State.STA8): Action.AA_3,
    (Event.EVT16, State.STA9): Action.AA_3,
    (Event.EVT16, State.STA10): Action.AA_3,
    (Event.EVT16, State.STA11): Action.AA_3,
    (Event.EVT16, State.STA12): Action.AA_3,
    (Event.EVT16, State.STA13): Action.AA_2,
    (Event.EVT17, State.STA2): Action.AA_5,
    (Event.EVT17, State.STA3): Action.AA_4,
    (Event.EVT17, State.STA4): Action.AA_4,
    (Event.EVT17, State.STA5): Action.AA_4,
    (Event.EVT17, State.STA6): Action.AA_4,
    (Event.EVT17, State.STA7): Action.AA_4,
    (Event.EVT17, State.STA8): Action.AA_4,
    (Event.EVT17, State.STA9): Action.AA_4,
    (Event.EVT17, State.STA10): Action.AA_4,
    (Event.EVT17, State.STA11): Action.AA_4,
    (Event.EVT17, State.STA12): Action.AA_4,
    (Event.EVT17, State.STA13): Action.AR_5,
    (Event.EVT18, State.STA2): Action.AA_2,
    (Event.EVT18, State.STA13): Action.AA_2,
    (Event.EVT19, State.STA2): Action.AA_1,
    (Event.EVT19, State.STA3): Action.AA_8,
    (Event.EVT19, State.STA5): Action.AA_8,
    (Event.EVT19, State.STA6): Action.AA_8,
    (Event.EVT19, State.STA7): Action.AA_8,
    (Event.EVT19, State.STA8): Action.AA_8,
    (Event.EVT19, State.STA9): Action.AA_8,
    (Event.EVT19, State.STA10): Action.AA_8,
    (Event.EVT19, State.STA11): Action.AA_8,
    (Event.EVT19, State.STA12): Action.AA_8,
    (Event.EVT19, State.STA13): Action.AA_7,
}

# What each action does. AE-6 has one outcome for an acceptable request and one for another;
# AR-8 has one for the association requestor and one for the acceptor.
ACTIONS: Final[dict[Action, tuple[Outcome, ...]]] = {
    Action.AE_1: (Outcome((Step.OPEN_TRANSPORT,), State.STA4),),
    Action.AE_2: (Outcome((Step.SEND_ASSOCIATE_RQ,), State.STA5),),
    Action.AE_3: (Outcome((Step.CONFIRM_ACCEPTED,), State.STA6),),
    Action.AE_4: (Outcome((Step.CONFIRM_REJECTED, Step.CLOSE_TRANSPORT), State.STA1),),
    Action.AE_5: (Outcome((Step.START_ARTIM,), State.STA2),),
    Action.AE_6: (
        Outcome((Step.STOP_ARTIM, Step.INDICATE_ASSOCIATE), State.STA3),
        Outcome((Step.STOP_ARTIM, Step.SEND_ASSOCIATE_RJ, Step.START_ARTIM), State.STA13),
    ),
    Action.AE_7: (Outcome((Step.SEND_ASSOCIATE_AC,), State.STA6),),
    Action.AE_8: (Outcome((Step.SEND_ASSOCIATE_RJ, Step.START_ARTIM), State.STA13),),
    Action.DT_1: (Outcome((Step.SEND_P_DATA_TF,), State.STA6),),
    Action.DT_2: (Outcome((Step.INDICATE_DATA,), State.STA6),),
    Action.AR_1: (Outcome((Step.SEND_RELEASE_RQ,), State.STA7),),
    Action.AR_2: (Outcome((Step.INDICATE_RELEASE,), State.STA8),),
    Action.AR_3: (Outcome((Step.CONFIRM_RELEASE, Step.CLOSE_TRANSPORT), State.STA1),),
    Action.AR_4: (Outcome((Step.SEND_RELEASE_RP, Step.START_ARTIM), State.STA13),),
    Action.AR_5: (Outcome((Step.STOP_ARTIM,), State.STA1),),
    Action.AR_6: (Outcome((Step.INDICATE_DATA,), State.STA7),),
    Action.AR_7: (Outcome((Step.SEND_P_DATA_TF,), State.STA8),),
    Action.AR_8: (
        Outcome((Step.INDICATE_COLLISION,), State.STA9),
        Outcome((Step.INDICATE_COLLISION,), State.STA10),
    ),
    Action.AR_9: (Outcome((Step.SEND_RELEASE_RP,), State.STA11),),
    Action.AR_10: (Outcome((Step.CONFIRM_RELEASE,), State.STA12),),
    Action.AA_1: (Outcome((Step.SEND_USER_ABORT, Step.START_ARTIM), State.STA13),),
    Action.AA_2: (Outcome((Step.STOP_ARTIM, Step.CLOSE_TRANSPORT), State.STA1),),
    Action.AA_3: (Outcome((Step.INDICATE_ABORT, Step.CLOSE_TRANSPORT), State.STA1),),
    Action.AA_4: (Outcome((Step.INDICATE_CONNECTION_LOST,), State.STA1),),
    Action.AA_5: (Outcome((Step.STOP_ARTIM,), State.STA1),),
    Action.AA_6: (Outcome((), State.STA13),),
    Action.AA_7: (Outcome((Step.SEND_PROVIDER_ABORT,), State.STA13),),
    Action.AA_8: (
        Outcome(
            (Step.SEND_PROVIDER_ABORT, Step.INDICATE_PROVIDER_ABORT, Step.START_ARTIM), State.STA13
        ),
    ),
}
