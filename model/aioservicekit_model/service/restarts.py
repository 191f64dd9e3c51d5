"""What a restart adds: it stops a service, starts it, and then starts again the dependents that this took down (SV-5.2)."""

from .machine import Action, Guard, ask_to_stop, begin, no, not_in_a_shutdown, phase
from .state import RUNNING, STARTING, STOPPED, STOPPING, Restart, State, World

__all__ = [
    "RESTART",
    "RESTARTING",
    "a_dependency_is_down",
    "is_to_follow",
    "may_start",
    "no_restart_is_under_way",
    "nobody_asked",
    "restart_is_to",
]


def restart_is_to(step: str) -> Guard:
    """It is being restarted, and the restart has reached this step (SV-5.2)."""
    return lambda world, state, s: state.restart is not None and (state.restart.of, state.restart.step) == (s, step)


def no_restart_is_under_way(world: World, state: State, s: int) -> bool:
    return state.restart is None


def nobody_asked(world: World, state: State, s: int) -> bool:
    """The restart comes after a failure (SV-3.2)."""
    return state.restart is not None and state.restart.times > 0


def a_dependency_is_down(world: World, state: State, s: int) -> bool:
    """A dependency has stopped, which stops it too (SV-3.2, SV-4.5)."""
    return any(state.services[d].phase in (STOPPING, STOPPED) for d in world.dependencies[s])


def may_start(world: World, state: State, s: int) -> bool:
    """A restart that nobody has asked for starts no dependency (SV-3.2)."""
    return not (nobody_asked(world, state, s) and a_dependency_is_down(world, state, s))


def those_that_it_has_begun_are_up(world: World, state: State, s: int) -> bool:
    """A restart that nobody has asked for starts a dependent when its dependencies have come up again (SV-3.2)."""
    begun = state.restart.begun if state.restart and nobody_asked(world, state, s) else ()
    return not any(state.services[d].phase == STARTING for d in world.dependencies[s] if d in begun)


def is_to_follow(world: World, state: State, s: int) -> bool:
    """The restart has taken it down, and has not started it again yet (SV-5.2)."""
    restart = state.restart
    return restart is not None and restart.step == "follow" and s in restart.followers and s not in restart.begun


def followers_are_up_or_down(world: World, state: State, s: int) -> bool:
    """The restart has started everything that it took down, and each has come up or has failed (SV-5.2)."""
    restart = state.restart
    assert restart
    settled = all(state.services[f].phase in (RUNNING, STOPPED) for f in restart.followers)
    return settled and restart.begun == restart.followers


def restart(world: World, state: State, s: int) -> State:
    """It stops, and the restart remembers what this takes down (SV-5.2)."""
    state = ask_to_stop(world, state, s)
    return state._replace(restart=Restart(s, state.services[s].taken_down))


def restart_starts(world: World, state: State, s: int) -> State:
    """The restart starts the service that it has stopped, or shares a start that is in progress (SV-5.2)."""
    assert state.restart
    times = state.restart.times
    state = state._replace(restart=state.restart._replace(step="start"))
    if state.services[s].phase != STOPPED:
        return state
    state = begin(world, state, s)
    return state.but(s, state.services[s]._replace(restarts=times))


def restart_goes_on(world: World, state: State, s: int) -> State:
    assert state.restart
    return state._replace(restart=state.restart._replace(step="follow"))


def follow(world: World, state: State, s: int) -> State:
    """The restart starts one of the services that it took down, unless another caller has (SV-5.2)."""
    assert state.restart
    begun = tuple(sorted((*state.restart.begun, s)))
    restarts = state.services[s].restarts if state.restart.times else 0  # it starts on nobody's request (SV-3.2)
    state = state._replace(restart=state.restart._replace(begun=begun))
    if state.services[s].phase != STOPPED:
        return state
    state = begin(world, state, s)
    return state.but(s, state.services[s]._replace(restarts=restarts))


def restart_ends(world: World, state: State, s: int) -> State:
    return state._replace(restart=None)


# fmt: off
RESTART = (Action("restart", ("SV-5.2",), (no_restart_is_under_way, not_in_a_shutdown), restart),)

RESTARTING = (
    Action("the restart starts it", ("SV-3.2", "SV-5.2"), (restart_is_to("stop"), phase(STOPPED), may_start), restart_starts),
    Action("the restart shares its start", ("SV-2.2", "SV-5.2"), (restart_is_to("stop"), phase(STARTING, RUNNING)), restart_starts),
    Action("the restart goes on", ("SV-5.2",), (restart_is_to("start"), phase(RUNNING)), restart_goes_on),
    Action("the restart starts it again", ("SV-3.2", "SV-5.2"),
           (is_to_follow, no(phase(STOPPING)), may_start, those_that_it_has_begun_are_up), follow),
    Action("the restart ends", ("SV-5.2",), (restart_is_to("follow"), followers_are_up_or_down), restart_ends),
)
# fmt: on
