"""What becomes of a service that fails, other than that it stops: `on_failure="retry"` and `on_failure="restart"` (SV-3.2).

A restart after a failure is one that nobody has asked for. So it is over when the service is stopped meanwhile, or when one of its
dependencies is. Which policy a service has is left open: whatever fails may do any of this. At most one restart is under way.
"""

from .machine import Action, activity, ask_to_stop, fail_fast, is_tried_again, phase, stop, stop_with, to
from .restarts import a_dependency_is_down, is_to_follow, nobody_asked, restart_is_to
from .state import FAILED, IDLE, MAX_RESTARTS, READY, RUNNING, STARTING, STOPPED, STOPPING, WORK, Restart, State, World

__all__ = [
    "FAILING",
    "STARTING_AGAIN",
    "STOPPED_MEANWHILE",
    "fail_and_start_again",
    "left_to_follow",
    "try_again",
]


def restarts_are_left(world: World, state: State, s: int) -> bool:
    """After `max_restarts` in a row, a failure stops the service for good (SV-3.2)."""
    return state.services[s].restarts < MAX_RESTARTS


def no_other_restart(world: World, state: State, s: int) -> bool:
    return state.restart is None or state.restart.of == s


def is_to_start_again(world: World, state: State, s: int) -> bool:
    """A restart after a failure is going to start it (SV-3.2)."""
    restart = state.restart
    if restart is None or not restart.times:
        return False
    return (restart.step == "stop" and s == restart.of) or s in left_to_follow(state)


def left_to_follow(state: State) -> set[int]:
    """What a restart has taken down, and has not started again yet."""
    return state.restart.left if state.restart else set()


def fail_and_start_again(world: World, state: State, s: int) -> State:
    """It stops, and so do its dependents; the restart also brings up what an earlier failure took down (SV-3.2)."""
    times = state.services[s].restarts + 1
    state = ask_to_stop(world, to(IDLE)(world, state, s), s)
    return state._replace(restart=Restart(s, state.services[s].taken_down, times=times))


def try_again(world: World, state: State, s: int) -> State:
    """Its start has failed, which counts as one more failure in a row, and ends the starts that wait for it (SV-3.2)."""
    restart = state.restart
    assert restart
    if not stop_with(world, state, s).issubset(restart.followers):
        state = fail_fast(state)  # what the restart has not taken down has failed for good
    return ask_to_stop(world, state, s)._replace(restart=restart._replace(step="stop", times=restart.times + 1))


def a_dependency_stays_down(world: World, state: State, s: int) -> bool:
    """A dependency has stopped, and the restart is not going to start it (SV-3.2)."""
    left = left_to_follow(state)
    return any(state.services[d].phase in (STOPPING, STOPPED) and d not in left for d in world.dependencies[s])


def leave_out(world: World, state: State, s: int) -> State:
    restart = state.restart
    assert restart
    return state._replace(restart=restart._replace(followers=tuple(f for f in restart.followers if f != s)))


def give_up(world: World, state: State, s: int) -> State:
    return state._replace(restart=None)


# fmt: off
FAILING = (
    Action("the work fails, and is called again", ("SV-3.2",), (activity(WORK),), to(READY)),
    Action("the work fails, and it starts again", ("SV-3.2",),
           (activity(WORK), phase(RUNNING), restarts_are_left, no_other_restart), fail_and_start_again),
)

STOPPED_MEANWHILE = (
    Action("it is stopped before it starts again", ("SV-3.2", "SV-4.1"), (phase(STOPPED), is_to_start_again), stop),
)

STARTING_AGAIN = (
    Action("its start is tried again", ("SV-3.2",), (activity(FAILED), phase(STARTING), is_tried_again), try_again),
    Action("the restart leaves it out", ("SV-3.2",), (is_to_follow, nobody_asked, a_dependency_stays_down), leave_out),
    Action("the restart is given up", ("SV-3.2", "SV-4.5"),
           (restart_is_to("stop"), phase(STOPPED), nobody_asked, a_dependency_is_down), give_up),
)
# fmt: on
