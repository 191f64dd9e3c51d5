"""Services: what can happen to them. The rules SV-1 to SV-6, executable.

An `Action` is permitted in a `State` when all its guards hold, and its effect gives the next state. The three tables at the
end list the actions. `CALLS` are what callers do, `USERS_PART` is what hooks and work do, at any time, and `INTERNAL` is what
the services do by themselves. `restarts`, `policies`, `signals` and `blocks` add the actions of restarts, of failures, of
signals and of a block of `run_services`. Actions and guards name the rules of `specs/service.md` for which they stand.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .state import (
    CANCELLED_WORK,
    DONE,
    FAILED,
    FAILS_FAST,
    HAS_FAILED,
    IDLE,
    LEFT,
    MAX_RESTARTS,
    NOTHING,
    READY,
    RUNNING,
    SHUT_DOWN,
    START_HOOK,
    STARTING,
    STOP_HOOK,
    STOPPED,
    STOPPING,
    WORK,
    Service,
    State,
    World,
)

Guard = Callable[[World, State, int], bool]
Effect = Callable[[World, State, int], State]


class Action(NamedTuple):
    name: str
    rules: tuple[str, ...]
    guards: tuple[Guard, ...]
    effect: Effect

    def permitted(self, world: World, state: State, s: int) -> bool:
        for guard in self.guards:  # `all(...)` takes twice as long, and exploring does hardly anything else
            if not guard(world, state, s):
                return False
        return True


class Label(NamedTuple):
    """A step: an action, and its service."""

    action: str
    service: int


# ---------------------------------------------------------------------------------------------------------------- guards


def phase(*phases: str) -> Guard:
    return lambda world, state, s: state.services[s].phase in phases


def activity(*activities: str) -> Guard:
    return lambda world, state, s: state.services[s].activity in activities


def no(guard: Guard) -> Guard:
    return lambda world, state, s: not guard(world, state, s)


def once(world: World, state: State, s: int) -> bool:
    """The action concerns all services alike, so it is taken only for the first of them."""
    return s == 0


def not_in_a_shutdown(world: World, state: State, s: int) -> bool:
    """After a signal, or when its block is left, nothing starts until everything has stopped (SV-6.2, SV-6.3)."""
    return state.signals == 0 and state.block not in (SHUT_DOWN, LEFT)


def unused(world: World, state: State, s: int) -> bool:
    """No dependent's hook or work runs or is due; a dependent that waits for its dependencies does not use them (SV-4.2)."""
    return all(state.services[d].activity == NOTHING for d in world.dependents[s])


def not_asked_to_end(world: World, state: State, s: int) -> bool:
    """Work goes on until the stop, and then as long as dependents use the service (SV-3.1, SV-3.4)."""
    return state.services[s].phase == RUNNING or not unused(world, state, s)


def grace_is_left(world: World, state: State, s: int) -> bool:
    """A second signal ends every grace, and so does the limit of the shutdown (SV-4.3, SV-6.3, SV-6.6)."""
    return state.signals < 2 and not state.time_is_over


def all_are_stopped(world: World, state: State, s: int) -> bool:
    return all(service.phase == STOPPED for service in state.services)


def has_callers(world: World, state: State, s: int) -> bool:
    return state.services[s].callers > 0


def a_dependent_waits_for_it(world: World, state: State, s: int) -> bool:
    return any(state.services[d].waiting for d in world.dependents[s])


def dependencies_run(world: World, state: State, s: int) -> bool:
    """All dependencies are RUNNING at the same time (SV-2.1)."""
    return all(state.services[d].phase == RUNNING for d in world.dependencies[s])


def a_restart_wants_it(world: World, state: State, s: int) -> bool:
    """A restart waits for its start, or is going to start a dependent of it (SV-2.2)."""
    restart = state.restart
    if restart is None:
        return False
    return (
        (restart.of, restart.step) == (s, "start")
        or s in restart.begun
        or not restart.left.isdisjoint(world.dependents[s])
    )


def nobody_wants_it(world: World, state: State, s: int) -> bool:
    """No caller, no starting dependent and no restart waits for its start (SV-2.2)."""
    wanted = has_callers(world, state, s) or a_dependent_waits_for_it(world, state, s)
    return not (wanted or a_restart_wants_it(world, state, s))


def is_tried_again(world: World, state: State, s: int) -> bool:
    """A restart after a failure goes on although its start fails, while restarts are left (SV-3.2)."""
    restart = state.restart
    return restart is not None and (restart.of, restart.step) == (s, "start") and 0 < restart.times < MAX_RESTARTS


# --------------------------------------------------------------------------------------------------------------- effects


def to(activity: str) -> Effect:
    return lambda world, state, s: state.but(s, state.services[s]._replace(activity=activity))


def begin(world: World, state: State, s: int) -> State:
    """It is STARTING, and its callers wait."""
    return state.but(s, Service(STARTING, callers=state.services[s].callers))


def ask_to_stop(world: World, state: State, s: int) -> State:
    """It is STOPPING, and so, at the same instant, are its dependents, each with its own (SV-4.2, SV-4.5)."""
    if not state.services[s].active:
        return state
    before = state
    for each in (s, *stop_with(world, before, s)):
        if state.restart and state.restart.step != "stop" and each == state.restart.of:
            state = state._replace(restart=None)  # what it was to start again stops again
        stops = state.services[each]._replace(phase=STOPPING, callers=0, taken_down=takes_down(world, before, each))
        state = state.but(each, stops)
    return state


def stop_with(world: World, state: State, s: int) -> set[int]:
    """The dependents that stop if it does, directly or not."""
    direct = {d for d in world.dependents[s] if state.services[d].active}
    return direct.union(*(stop_with(world, state, d) for d in direct))


def takes_down(world: World, state: State, s: int) -> tuple[int, ...]:
    """The dependents that stop if it does, and what was to follow one of these in a restart."""
    stopping, restart = stop_with(world, state, s), state.restart
    left = restart.left if restart and restart.of in (s, *stopping) else set()
    return tuple(sorted(stopping | left))


def start(world: World, state: State, s: int) -> State:
    """A caller waits for the start. It begins now, unless it is in progress or waits for the stop to end (SV-2.2)."""
    service = state.services[s]
    if service.phase == RUNNING:
        return state
    state = state.but(s, service._replace(callers=service.callers + 1))
    return begin(world, state, s) if service.phase == STOPPED else state


def cancel_a_start(world: World, state: State, s: int) -> State:
    return state.but(s, state.services[s]._replace(callers=state.services[s].callers - 1))


def stop(world: World, state: State, s: int) -> State:
    """A caller stops it, and no restart after a failure starts it again (SV-3.2, SV-4.6)."""
    restart = state.restart
    if restart and restart.times:
        followers, begun = (tuple(f for f in several if f != s) for several in (restart.followers, restart.begun))
        state = state._replace(restart=None if s == restart.of else restart._replace(followers=followers, begun=begun))
    return ask_to_stop(world, state, s)


def fail(world: World, state: State, s: int) -> State:
    """It has failed, which stops it, and a block that fails fast unless a restart is to come (SV-3.2, SV-6.6)."""
    failed = state.services[s].active
    state = ask_to_stop(world, state, s)
    starts_again = state.restart is not None and state.restart.of == s
    return state if starts_again or not failed else fail_fast(state)


def fail_fast(state: State) -> State:
    """A service has failed for good, and a block that fails fast with it (SV-6.6)."""
    return state._replace(block=HAS_FAILED) if state.block == FAILS_FAST else state


def fail_at_work(world: World, state: State, s: int) -> State:
    return fail(world, to(IDLE)(world, state, s), s)


def end_work(world: World, state: State, s: int) -> State:
    """It has ended well, so the next failure is the first in a row (SV-3.2)."""
    return state.but(s, state.services[s]._replace(activity=READY, restarts=0))


def run(world: World, state: State, s: int) -> State:
    """It is RUNNING, as its callers wanted (SV-2.1)."""
    return state.but(s, state.services[s]._replace(phase=RUNNING, callers=0))


def end(world: World, state: State, s: int) -> State:
    """It is STOPPED. After the last one the shutdown is over, and does not affect later starts (SV-6.3)."""
    service, restart = state.services[s], state.restart
    follows = restart is not None and restart.times > 0 and s in restart.followers  # whose restarts still count
    state = state.but(s, Service(callers=service.callers, restarts=service.restarts if follows else 0))
    return state._replace(signals=0, heard=0, time_is_over=False) if all_are_stopped(world, state, s) else state


# --------------------------------------------------------------------------------------------------------------- actions

# fmt: off
CALLS = (
    Action("start", ("SV-2.1", "SV-2.2", "SV-6.3"), (not_in_a_shutdown,), start),
    Action("cancel a start", ("SV-2.2",), (has_callers,), cancel_a_start),
    Action("stop", ("SV-4.1", "SV-4.5", "SV-4.6"), (phase(STARTING, RUNNING, STOPPING),), stop),
)

USERS_PART = (
    Action("the start hook returns", ("SV-2.1", "SV-2.3"), (activity(START_HOOK),), to(READY)),
    Action("the start hook raises", ("SV-2.3",), (activity(START_HOOK),), to(FAILED)),
    Action("the work fails", ("SV-3.2", "SV-6.6"), (activity(WORK),), fail_at_work),
    Action("the work ends", ("SV-3.1", "SV-3.2"), (activity(WORK),), end_work),
    Action("the grace runs out", ("SV-4.3",), (activity(WORK), phase(STOPPING), unused, grace_is_left), to(CANCELLED_WORK)),
    Action("the cancelled work ends, or is left behind", ("SV-4.3",), (activity(CANCELLED_WORK),), to(IDLE)),
    Action("the stop hook returns", ("SV-2.3", "SV-4.3"), (activity(STOP_HOOK),), to(DONE)),
    Action("the stop hook raises", ("SV-4.4",), (activity(STOP_HOOK),), to(DONE)),
)

INTERNAL = (
    Action("a dependent starts it", ("SV-2.1",), (phase(STOPPED), a_dependent_waits_for_it, not_in_a_shutdown), begin),
    Action("it starts after its stop", ("SV-2.2",), (phase(STOPPED), has_callers, not_in_a_shutdown), begin),
    Action("its start hook runs", ("SV-2.1",), (phase(STARTING), activity(NOTHING), dependencies_run), to(START_HOOK)),
    Action("it is RUNNING", ("SV-1.2", "SV-2.1"), (activity(READY), phase(STARTING)), run),
    Action("its start has failed", ("SV-1.3", "SV-2.3"), (activity(FAILED), phase(STARTING), no(is_tried_again)), fail),
    Action("its start is given up", ("SV-2.2",), (phase(STARTING), nobody_wants_it), ask_to_stop),
    Action("its work is called", ("SV-3.1", "SV-3.4"), (activity(READY), phase(RUNNING, STOPPING), not_asked_to_end), to(WORK)),
    Action("its work is cancelled", ("SV-6.3",), (activity(WORK), phase(STOPPING), unused, no(grace_is_left)), to(CANCELLED_WORK)),
    Action("its stop hook runs", ("SV-4.2", "SV-4.3"), (activity(READY, IDLE), phase(STOPPING), unused), to(STOP_HOOK)),
    Action("it is STOPPED", ("SV-1.2", "SV-1.3"), (phase(STOPPING), activity(NOTHING, FAILED, DONE)), end),
)
# fmt: on


def initial(world: World) -> State:
    """New services are STOPPED (SV-1.1)."""
    return State(tuple(Service() for _ in world.dependencies))


def steps(world: World, state: State, actions: tuple[Action, ...]) -> Iterator[tuple[Label, State]]:
    """The steps that a state permits, each with the next state."""
    for s in range(len(state.services)):
        for action in actions:
            if action.permitted(world, state, s):
                yield Label(action.name, s), action.effect(world, state, s)
