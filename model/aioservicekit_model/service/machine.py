"""Services: several, and what they depend on; the specification's rules SV-1 to SV-6, executable.

How to read it
--------------

A `State` is all that matters of some services at one instant. `Service.phase` is what their users see; `Service.own` is what of
the user's part runs at that instant. The dependencies never change, so they are no part of the state. Four tables at the end
say how one state follows another:

* `CALLS`: what callers and signals do;
* `USERS_PART`: how hooks and work end, and that time passes: nobody knows when;
* `UNSEEN`: what the services do on their own;
* `BLOCK`: what a block of `run_services` around all of them adds to these; without it `State.block` stays as it is.

A row is permitted when its guard holds. Each row carries the rules that it stands for, so that a rule of `specs/service.md` is
found here by its id. What goes wrong when somebody gets one of them wrong stands apart, in `faults`.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .guards import (
    Guard,
    a_dependent_waits_for_it,
    all_are_stopped,
    dependencies_run,
    followers_are_up_or_down,
    followers_may_start,
    grace_runs,
    has_callers,
    hook_has_completed,
    hook_has_failed,
    is_cut_short,
    is_done,
    is_left_and_stopped,
    is_to_be_restarted,
    is_to_follow,
    may_be_left,
    may_be_started,
    no_grace_is_left,
    no_restart_under_way,
    nobody_wants_the_start,
    none_is_open,
    not_stopped,
    restart_may_share_its_start,
    runs,
    shutdown_takes_time,
    somebody_runs,
    stop_hook_is_due,
    wanted_after_the_stop,
    work_is_due,
)
from .states import (
    CANCELLED_WORK,
    CUT_SHORT,
    DONE,
    FAILED,
    IDLE,
    LEFT,
    NO_BLOCK,
    OPEN,
    READY,
    RUNNING,
    SHUT_DOWN,
    START_HOOK,
    STARTING,
    STOP_HOOK,
    STOPPED,
    STOPPING,
    WORK,
    Dependencies,
    Restart,
    Service,
    State,
    World,
)

__all__ = ["BLOCK", "CALLS", "RULES_OF_THE_TABLE", "UNSEEN", "USERS_PART", "Row", "Step", "initial", "steps"]


class Step(NamedTuple):
    """One row's effect on one service."""

    name: str
    service: int
    after: State


Effect = Callable[[World, State, int], State]


class Row(NamedTuple):
    name: str
    rules: tuple[str, ...]
    when: Guard
    effect: Effect


def begin(world: World, state: State, s: int) -> State:
    return state.with_service(s, Service(STARTING, callers=state.services[s].callers))


def ask(world: World, state: State, s: int) -> State:
    """Ask for the stop of a service and, at the same instant, of those that depend on it (SV-4.2, SV-4.5)."""
    service = state.services[s]
    if not service.active:
        return state
    if state.restart and state.restart.step != "stop" and s == state.restart.of:
        state = state._replace(restart=None)  # what it was to bring up is going down again
    dependents = world.dependents(s)
    active = [d for d in dependents if state.services[d].active]
    state = state.with_service(s, service._replace(phase=STOPPING, callers=0))
    for d in active:
        state = ask(world, state, d)
    taken_down = {*active, *(each for d in active for each in state.services[d].taken_down)}
    return state.with_service(s, state.services[s]._replace(taken_down=tuple(sorted(taken_down))))


def start(world: World, state: State, s: int) -> State:
    if state.services[s].phase == RUNNING:
        return state
    state = state.with_service(s, state.services[s]._replace(callers=state.services[s].callers + 1))
    return begin(world, state, s) if state.services[s].phase == STOPPED else state


def cancel_a_start(world: World, state: State, s: int) -> State:
    return state.with_service(s, state.services[s]._replace(callers=state.services[s].callers - 1))


def stop(world: World, state: State, s: int) -> State:
    return ask(world, state, s)


def restart(world: World, state: State, s: int) -> State:
    state = ask(world, state, s)
    return state._replace(restart=Restart(s, state.services[s].taken_down))


def stop_all(world: World, state: State) -> State:
    """Nobody gets the start that they wait for, and no restart goes on."""
    for each in range(len(state.services)):
        state = ask(world, state, each)
        state = state.with_service(each, state.services[each]._replace(callers=0))
    return state._replace(restart=None)


def signal(world: World, state: State, s: int) -> State:
    block = SHUT_DOWN if state.block == OPEN else state.block
    return stop_all(world, state)._replace(signals=state.signals + 1, block=block)


def open_block(world: World, state: State, s: int) -> State:
    return state._replace(block=OPEN)


def leave_block(world: World, state: State, s: int) -> State:
    return stop_all(world, state)._replace(block=LEFT)


def end_block(world: World, state: State, s: int) -> State:
    return state._replace(block=NO_BLOCK)


def run_out_of_time(world: World, state: State, s: int) -> State:
    return state._replace(time_is_over=True)


def cut_short(world: World, state: State, s: int) -> State:
    return state.changed(s, STOPPING, CUT_SHORT[state.services[s].own])


def runs_now(world: World, state: State, s: int) -> State:
    return state.with_service(s, state.services[s]._replace(phase=RUNNING, callers=0))


def work_fails(world: World, state: State, s: int) -> State:
    return ask(world, state.changed(s, state.services[s].phase, IDLE), s)


def to(own: str) -> Effect:
    return lambda world, state, s: state.changed(s, state.services[s].phase, own)


def is_stopped(world: World, state: State, s: int) -> State:
    """With the last service the handlers of the signals go: a later start is none of this shutdown."""
    state = state.with_service(s, Service(callers=state.services[s].callers))
    return state._replace(signals=0, time_is_over=False) if all_are_stopped(state) else state


def restart_starts(world: World, state: State, s: int) -> State:
    assert state.restart
    state = state._replace(restart=state.restart._replace(step="start"))
    return begin(world, state, s) if state.services[s].phase == STOPPED else state


def restart_goes_on(world: World, state: State, s: int) -> State:
    assert state.restart
    return state._replace(restart=state.restart._replace(step="follow"))


def follow(world: World, state: State, s: int) -> State:
    assert state.restart
    begun = tuple(sorted((*state.restart.begun, s)))
    state = state._replace(restart=state.restart._replace(begun=begun))
    return begin(world, state, s) if state.services[s].phase == STOPPED else state


def restart_ends(world: World, state: State, s: int) -> State:
    return state._replace(restart=None)


# ---------------------------------------------------------------------------------------------------------------- tables

# fmt: off
CALLS = (
    Row("start", ("SV-2.1", "SV-2.2", "SV-6.3"), may_be_started, start),
    Row("cancel a start", ("SV-2.2",), has_callers, cancel_a_start),
    Row("stop", ("SV-4.1", "SV-4.5", "SV-4.6"), not_stopped, stop),
    Row("restart", ("SV-5.2",), no_restart_under_way, restart),
    Row("signal", ("SV-6.3",), somebody_runs, signal),
)

USERS_PART = (
    Row("the start hook returns", ("SV-2.1", "SV-2.3"), runs(START_HOOK, STARTING, STOPPING), to(READY)),
    Row("the start hook raises", ("SV-2.3",), runs(START_HOOK, STARTING, STOPPING), to(FAILED)),
    Row("the work fails", ("SV-3.2",), runs(WORK, RUNNING, STOPPING), work_fails),
    Row("the work ends", ("SV-3.1",), runs(WORK, RUNNING, STOPPING), to(READY)),
    Row("the grace runs out", ("SV-4.3",), grace_runs, to(CANCELLED_WORK)),
    Row("the cancelled work ends, or is left behind", ("SV-4.3",), runs(CANCELLED_WORK, STOPPING), to(IDLE)),
    Row("the stop hook returns", ("SV-2.3", "SV-4.3"), runs(STOP_HOOK, STOPPING), to(DONE)),
    Row("the stop hook raises", ("SV-4.4",), runs(STOP_HOOK, STOPPING), to(DONE)),
)

UNSEEN = (
    Row("a dependent starts it", ("SV-2.1",), a_dependent_waits_for_it, begin),
    Row("its start hook runs", ("SV-2.1",), dependencies_run, to(START_HOOK)),
    Row("it is RUNNING", ("SV-1.2", "SV-2.1"), hook_has_completed, runs_now),
    Row("its start has failed", ("SV-1.3", "SV-2.3"), hook_has_failed, ask),
    Row("its work is called", ("SV-3.1", "SV-3.4", "SV-4.2"), work_is_due, to(WORK)),
    Row("its start is given up", ("SV-2.2",), nobody_wants_the_start, ask),
    Row("its work is cancelled", ("SV-6.3",), no_grace_is_left, to(CANCELLED_WORK)),
    Row("its stop hook runs", ("SV-4.2", "SV-4.3"), stop_hook_is_due, to(STOP_HOOK)),
    Row("it is STOPPED", ("SV-1.2", "SV-1.3"), is_done, is_stopped),
    Row("it starts after its stop", ("SV-2.2",), wanted_after_the_stop, begin),
    Row("the restart starts it", ("SV-5.2",), is_to_be_restarted, restart_starts),
    Row("the restart shares its start", ("SV-2.2", "SV-5.2"), restart_may_share_its_start, restart_starts),
    Row("the restart goes on", ("SV-5.2",), followers_may_start, restart_goes_on),
    Row("the restart starts it again", ("SV-5.2",), is_to_follow, follow),
    Row("the restart ends", ("SV-5.2",), followers_are_up_or_down, restart_ends),
)

BLOCK = (
    Row("a block is entered", ("SV-6.1",), none_is_open, open_block),
    Row("the block is left", ("SV-6.2",), may_be_left, leave_block),
    Row("the block has ended", ("SV-6.2", "SV-6.3"), is_left_and_stopped, end_block),
    Row("the time of the shutdown is over", ("SV-6.6",), shutdown_takes_time, run_out_of_time),
    Row("it is cut short", ("SV-6.6",), is_cut_short, cut_short),
)
# fmt: on

RULES_OF_THE_TABLE = frozenset(rule for row in CALLS + USERS_PART + UNSEEN + BLOCK for rule in row.rules) | {"SV-1.1"}


def initial(dependencies: Dependencies) -> State:
    """New services are STOPPED (SV-1.1)."""
    return State(tuple(Service() for _ in dependencies))


def steps(world: World, state: State, table: tuple[Row, ...]) -> Iterator[Step]:
    """What a table permits in a state."""
    for s in range(len(state.services)):
        for row in table:
            if row.when(world, state, s):
                yield Step(row.name, s, row.effect(world, state, s))
