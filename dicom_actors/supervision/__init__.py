"""Supervision: OTP's supervisors, and what they need of an actor, on pykka.

A fault that nobody foresaw is best met by starting again from a state that is known to be
good. So an actor that fails just ends, and its supervisor, which does nothing risky itself,
starts a new one. This package knows nothing of DICOM and can be used alone::

    from dicom_actors.supervision import (
        ActorCrashed, ChildSpec, SupervisedActor, Supervisor, call, which_children,
    )

    class Divider(SupervisedActor):
        def __init__(self, dividend):
            super().__init__()
            self.dividend = dividend

        def handle_call(self, divisor):
            return self.dividend / divisor

    supervisor = Supervisor.start([ChildSpec("divider", (Divider, (12,), {}))])
    divider = which_children(supervisor)[0].ref
    assert call(divider, 4) == 3
    try:
        call(divider, 0)
    except ActorCrashed as crash:
        assert isinstance(crash.__cause__, ZeroDivisionError)
    divider = which_children(supervisor)[0].ref  # a new actor with the same arguments
    assert call(divider, 3) == 4
    supervisor.stop()

**Actors.** A `SupervisedActor` has the callbacks of a gen_server: `init`, `handle_continue`,
`handle_call` (an ask), `handle_cast` (a tell), `handle_info` (what the system sends),
`handle_idle` (nothing came for as long as the inbox has `patience`) and `terminate`. They run in
the actor's own thread, one at a time. ``start`` returns when `init` is done and raises what it
raised. An exception in a callback, SystemExit included, ends this actor and nothing else; only a
`CallError` raised in `handle_call` is an answer. pykka's own hooks (``on_start``,
``on_receive``...) and proxies are not used, and pykka's registry does not know our actors: no
`ActorRegistry.stop_all`, such as a host's actor sets off by raising SystemExit, stops them.

**Messages.** ``ref.ask``, ``ref.tell`` and ``ref.stop`` are pykka's, and `call`, `send_request` and
`cast` hold for every pykka actor; they never wait for room in an inbox. No question stays open:
whoever asks the dead, or one who dies, is told at once. Requests to end and notices of death go
before other messages. Messages are shared, not copied: make them immutable, or hand them over for
good.

**Supervisors.** A `Supervisor` starts its children in order, ends them in reverse order, and
restarts them by its `Strategy`. A `DynamicSupervisor` has any number of children that come and
go. Both give up after more than ``intensity`` restarts within ``period`` seconds and leave the
rest to their own supervisor; a child of a dynamic one may have a budget of its own, and several
may share a `RestartWindow`. A `ChildSpec` says when a child is restarted (`Restart`) and how
it is ended: it is asked, and killed after its ``shutdown`` time. `start_child`,
`terminate_child`, `which_children` and their like change and show a running tree. `spawn_child`
starts a child from any thread and waits for nobody, and `respecify_child` lets one that runs be
known under another spec.

**Death.** `monitor` promises exactly one `Down`, however an actor ends, and after its supervisor
was told. `kill` ends an actor for everybody else at once. Its thread cannot be ended: it is
*disowned*, what it still sends is refused, and ``System.disowned`` counts it. What user code
does outside the actors, it does; so cleanup that must happen belongs to the owner of a
resource, not to `terminate`. An actor that has ended is freed by reference counting alone. Nothing
here can contain a crash of the interpreter, ``os._exit`` or C code that holds the interpreter's
lock: above a tree stands the system's process manager.

**Surroundings.** All actors of a tree share one `System`: clock, timers, threads, names, log,
reports. Time is injected: with a `ManualClock` no test has to wait. Threads are kept warm for the
next actor (`ThreadPool`), a few of them, and none when the last actor has ended. Log records are
written beside the actors (`LogService`), so a log that stalls holds up nobody. An inbox can be
more than a queue: a `SocketInbox` gives what is readable or writable as the next message.

**Forks.** Nothing is global, but that a process forks as a whole: in the child our descriptors,
and the sockets that were announced by `close_in_child`, are closed, the parent's actors are dead,
as whoever asks them is told, and their `System` can have new ones.

Way down: `supervisor`, `dynamic_supervisor` > `base_supervisor` > `actor`, `children` > `calls` >
`ref` > `system` > `timing`, `reports`, `threads`, `log`, and the inboxes; no module imports one
above it.
"""

from __future__ import annotations

from dicom_actors.supervision.actor import SupervisedActor
from dicom_actors.supervision.calls import (
    announce,
    call,
    cast,
    demonitor,
    kill,
    monitor,
    request_exit,
    send_request,
)
from dicom_actors.supervision.children import (
    ChildCounts,
    ChildInfo,
    ChildState,
    count_children,
    delete_child,
    get_childspec,
    restart_child,
    start_child,
    terminate_child,
    which_children,
)
from dicom_actors.supervision.dynamic_supervisor import (
    DynamicSupervisor,
    respecify_child,
    spawn_child,
)
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
from dicom_actors.supervision.forking import close_in_child
from dicom_actors.supervision.inbox import IDLE, Inbox
from dicom_actors.supervision.log import LogService
from dicom_actors.supervision.ref import Down, KnowsAnswer, Life, Monitor, SupervisedRef
from dicom_actors.supervision.reply import Reply
from dicom_actors.supervision.reports import (
    ChildTerminated,
    ReachedMaxIntensity,
    Report,
    ShutdownError,
    Started,
    StartError,
)
from dicom_actors.supervision.socket_inbox import SocketInbox, SocketReady
from dicom_actors.supervision.spec import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    ChildSpec,
    ChildType,
    Restart,
    RestartWindow,
    Shutdown,
    Strategy,
)
from dicom_actors.supervision.supervisor import Supervisor
from dicom_actors.supervision.system import Registry, System
from dicom_actors.supervision.threads import ActorThread, ThreadPool, as_nobody
from dicom_actors.supervision.timing import Clock, ManualClock, SystemClock, Timer, TimerService

__all__ = [
    "BRUTAL_KILL",
    "IDLE",
    "IGNORE",
    "INFINITY",
    "ActorCrashed",
    "ActorThread",
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
    "KnowsAnswer",
    "Life",
    "LogService",
    "ManualClock",
    "MaxChildren",
    "Monitor",
    "NoProcError",
    "ReachedMaxIntensity",
    "Registry",
    "Reply",
    "Report",
    "Restart",
    "RestartWindow",
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
    "ThreadPool",
    "Timer",
    "TimerService",
    "UnknownMessage",
    "announce",
    "as_nobody",
    "call",
    "cast",
    "close_in_child",
    "count_children",
    "delete_child",
    "demonitor",
    "get_childspec",
    "kill",
    "monitor",
    "request_exit",
    "respecify_child",
    "restart_child",
    "send_request",
    "spawn_child",
    "start_child",
    "terminate_child",
    "which_children",
]
