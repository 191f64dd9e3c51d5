"""Services: what there is to say of them at one instant."""

from typing import NamedTuple

__all__ = [
    "CANCELLED_WORK",
    "CUT_SHORT",
    "DONE",
    "FAILED",
    "IDLE",
    "LEFT",
    "NOTHING",
    "NO_BLOCK",
    "OPEN",
    "READY",
    "RUNNING",
    "SHUT_DOWN",
    "STARTING",
    "START_HOOK",
    "STOPPED",
    "STOPPING",
    "STOP_HOOK",
    "WORK",
    "Dependencies",
    "Restart",
    "Service",
    "State",
    "World",
]

STOPPED, STARTING, RUNNING, STOPPING = ("STOPPED", "STARTING", "RUNNING", "STOPPING")

# What of the user's part runs; nothing does if it is READY (the work is to be called), IDLE (`__on_stop__` is due), FAILED (the
# start hook has raised) or DONE (the stop hook has ended).
NOTHING, START_HOOK, FAILED, READY, WORK, CANCELLED_WORK, IDLE, STOP_HOOK, DONE = (
    "nothing",
    "start hook",
    "failed",
    "ready",
    "work",
    "cancelled work",
    "idle",
    "stop hook",
    "done",
)

# What comes of the user's part that is cut short.
CUT_SHORT = {START_HOOK: FAILED, CANCELLED_WORK: IDLE, STOP_HOOK: DONE}

# The block of `run_services`: there is none; it runs; a shutdown has begun in it; it is being left.
NO_BLOCK, OPEN, SHUT_DOWN, LEFT = ("none", "open", "shut down", "left")

Dependencies = tuple[tuple[int, ...], ...]  # of each service: the indexes of those that it depends on


class Service(NamedTuple):
    phase: str = STOPPED
    own: str = NOTHING
    callers: int = 0  # who wait in `start()`, dependents not counted
    taken_down: tuple[int, ...] = ()  # what its stop has stopped with it, directly or not

    @property
    def waiting(self) -> bool:
        """It has begun to start, and its own part has not."""
        return self.phase == STARTING and self.own == NOTHING

    @property
    def active(self) -> bool:
        return self.phase in (STARTING, RUNNING)


class Restart(NamedTuple):
    """The restart that is under way."""

    of: int
    followers: tuple[int, ...]  # what it took down, and brings up again
    step: str = "stop"  # or "start", or "follow"
    begun: tuple[int, ...] = ()  # of the followers


class State(NamedTuple):
    services: tuple[Service, ...]
    signals: int = 0  # since services run
    restart: Restart | None = None
    block: str = NO_BLOCK
    time_is_over: bool = False  # that the shutdown of the block may take

    def changed(self, s: int, phase: str, own: str) -> "State":
        return self.with_service(s, self.services[s]._replace(phase=phase, own=own))

    def with_service(self, s: int, service: Service) -> "State":
        return self._replace(services=(*self.services[:s], service, *self.services[s + 1 :]))


class World(NamedTuple):
    """What never changes: who depends on whom."""

    dependencies: Dependencies

    def dependents(self, s: int) -> tuple[int, ...]:
        return tuple(d for d, of in enumerate(self.dependencies) if s in of)
