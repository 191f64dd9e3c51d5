"""What matters about services at one instant.

A `State` describes some services at one instant. `Service.phase` is what the services' users see. `Service.activity` says which of
the user's code (hooks and work) runs at that instant:

    phase       activity

    STOPPED     nothing
       │ start
       v
    STARTING    nothing ──> start hook ──> ready, or failed
       │ it is RUNNING
       v
    RUNNING     ready <──> work
       │ stop, or it fails: from STARTING too, whatever runs then
       v
    STOPPING    work ──> cancelled work ──> idle ──> stop hook ──> done
       │ it is STOPPED
       v
    STOPPED     nothing

A `World` says which service depends on which; this never changes.
"""

from typing import NamedTuple

STOPPED, STARTING, RUNNING, STOPPING = "STOPPED", "STARTING", "RUNNING", "STOPPING"

# Some activities only say what comes next: the work (READY), the stop hook (IDLE), the end of the life (FAILED, DONE).
NOTHING, START_HOOK, FAILED, READY = "nothing", "start hook", "failed", "ready"
WORK, CANCELLED_WORK, IDLE, STOP_HOOK, DONE = "work", "cancelled work", "idle", "stop hook", "done"

# The block of `run_services`: there is none; it is open, and perhaps fails fast; a failure is about to stop it; its services have
# been told to stop; it is being left.
NO_BLOCK, OPEN, FAILS_FAST, HAS_FAILED, SHUT_DOWN, LEFT = (
    "none",
    "open",
    "fails fast",
    "has failed",
    "shut down",
    "left",
)

MAX_RESTARTS = 2  # after failures, in a row

Dependencies = tuple[tuple[int, ...], ...]  # for each service: the indexes of its dependencies


class World:
    """Which services there are, by index, and which depend on which."""

    def __init__(self, dependencies: Dependencies) -> None:
        self.dependencies = dependencies
        self.dependents = tuple(
            tuple(d for d, of in enumerate(dependencies) if s in of) for s in range(len(dependencies))
        )


class Service(NamedTuple):
    phase: str = STOPPED
    activity: str = NOTHING
    callers: int = 0  # tasks that wait in `start()`, not counting dependents
    taken_down: tuple[int, ...] = ()  # what its stop has stopped too, directly or not
    restarts: int = 0  # after failures, in a row

    @property
    def waiting(self) -> bool:
        """Whether it has begun to start, and waits for its dependencies."""
        return self.phase == STARTING and self.activity == NOTHING

    @property
    def active(self) -> bool:
        return self.phase in (STARTING, RUNNING)


class Restart(NamedTuple):
    """The restart that is in progress."""

    of: int
    followers: tuple[int, ...]  # the dependents that it took down, and starts again
    step: str = "stop"  # then "start", then "follow"
    begun: tuple[int, ...] = ()  # the followers that it has started again
    times: int = 0  # after a failure: the number of restarts in a row; 0 if a caller wanted it

    @property
    def left(self) -> set[int]:
        """The followers that it has not started again yet."""
        return set(self.followers) - set(self.begun)


class State(NamedTuple):
    services: tuple[Service, ...]
    signals: int = 0  # since services run
    restart: Restart | None = None
    block: str = NO_BLOCK
    heard: int = 0  # how many of them the program's own handler has been called with
    heeds_signals: bool = True  # false of a block with `signals=False`
    time_is_over: bool = False  # the time that the block's shutdown may take

    def but(self, s: int, service: Service) -> "State":
        """The same state with one service changed. Equal services share one object, so that millions of states fit."""
        service = _services.setdefault(service, service)
        return self._replace(services=(*self.services[:s], service, *self.services[s + 1 :]))


_services: dict[Service, Service] = {}
