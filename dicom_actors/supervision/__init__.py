"""Supervision: OTP's actors and supervisors on pykka."""

from __future__ import annotations

from dicom_actors.supervision.actor import SupervisedActor
from dicom_actors.supervision.administration import (
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from dicom_actors.supervision.calls import call, cast
from dicom_actors.supervision.children import ChildCounts, ChildInfo, ChildState
from dicom_actors.supervision.clock import Clock, ManualClock, SystemClock
from dicom_actors.supervision.dynamic_supervisor import DynamicSupervisor
from dicom_actors.supervision.errors import (
    ActorCrashed,
    AlreadyStarted,
    CallError,
    CallingSelfError,
    CallTimeout,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartError,
    DisownedError,
    InboxFull,
    MaxChildren,
    NoProcError,
    SpecError,
    StartTimeout,
    SupervisionError,
    UnknownMessage,
)
from dicom_actors.supervision.exits import IGNORE, Continue, ExitReason, Stop
from dicom_actors.supervision.inbox import Inbox
from dicom_actors.supervision.life import Down, Monitor
from dicom_actors.supervision.ref import SupervisedRef
from dicom_actors.supervision.registry import Registry
from dicom_actors.supervision.reply import Reply
from dicom_actors.supervision.reports import (
    ChildTerminated,
    ReachedMaxIntensity,
    Report,
    ShutdownError,
    Started,
    StartError,
)
from dicom_actors.supervision.signals import demonitor, kill, monitor, request_exit
from dicom_actors.supervision.socket_inbox import SocketInbox, SocketReady
from dicom_actors.supervision.spec import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    ChildType,
    Restart,
    Shutdown,
    Strategy,
)
from dicom_actors.supervision.supervisor import Supervisor
from dicom_actors.supervision.system import System
from dicom_actors.supervision.timers import Timer, TimerService

__all__ = [
    "BRUTAL_KILL",
    "IGNORE",
    "INFINITY",
    "ActorCrashed",
    "AlreadyStarted",
    "AutoShutdown",
    "CallError",
    "CallTimeout",
    "CallingSelfError",
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildCounts",
    "ChildInfo",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStartError",
    "ChildState",
    "ChildTerminated",
    "ChildType",
    "Clock",
    "Continue",
    "DisownedError",
    "Down",
    "DynamicSupervisor",
    "ExitReason",
    "Inbox",
    "InboxFull",
    "ManualClock",
    "MaxChildren",
    "Monitor",
    "NoProcError",
    "ReachedMaxIntensity",
    "Registry",
    "Reply",
    "Report",
    "Restart",
    "Shutdown",
    "ShutdownError",
    "SocketInbox",
    "SocketReady",
    "SpecError",
    "StartError",
    "StartTimeout",
    "Started",
    "Stop",
    "Strategy",
    "SupervisedActor",
    "SupervisedRef",
    "SupervisionError",
    "Supervisor",
    "System",
    "SystemClock",
    "Timer",
    "TimerService",
    "UnknownMessage",
    "call",
    "cast",
    "count_children",
    "delete_child",
    "demonitor",
    "get_childspec",
    "kill",
    "monitor",
    "request_exit",
    "restart_child",
    "start_child",
    "terminate_child",
    "which_children",
]
