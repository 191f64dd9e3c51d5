"""Services: several, and what they depend on; the specification's rules SV-1 to SV-6, executable.

How to read it
--------------

A `State` is all that matters of some services at one instant. `Service.phase` is what their users see; `Service.own` is what of
the user's part runs at that instant. The dependencies never change, so they are no part of the state. Three tables at the end
say how one state follows another:

* `CALLS`: what callers and signals do;
* `USERS_PART`: how hooks and work end, and that time passes: nobody knows when;
* `UNSEEN`: what the services do on their own.

A row is permitted when its guard holds. Each row carries the rules that it stands for, so that a rule of `specs/service.md` is
found here by its id. `FAULTS` are the natural mistakes: each changes one thing, and breaks one of the invariants.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = [
    "CALLS",
    "FAULTS",
    "RULES_OF_THE_TABLE",
    "UNSEEN",
    "USERS_PART",
    "Restart",
    "Service",
    "State",
    "Step",
    "initial",
    "steps",
]

STOPPED, STARTING, RUNNING, STOPPING = ("STOPPED", "STARTING", "RUNNING", "STOPPING")

# What of the user's part runs; nothing does if it is READY (the work is to be called), IDLE (`__on_stop__` is due), FAILED (the
# start hook has raised), DONE (the stop hook has ended) or STUCK (and nothing ever will: a fault).
NOTHING, START_HOOK, FAILED, READY, WORK, CANCELLED_WORK, IDLE, STOP_HOOK, DONE, STUCK = (
    "nothing",
    "start hook",
    "failed",
    "ready",
    "work",
    "cancelled work",
    "idle",
    "stop hook",
    "done",
    "stuck",
)

Dependencies = tuple[tuple[int, ...], ...]  # of each service: the indexes of those that it depends on

FAULTS = {
    "stop ignored while starting": "SV-4.6",
    "no drain": "SV-4.2",
    "stuck on a failed start": "SV-2.3",
    "stuck on a failed stop": "SV-4.4",
    "a drain that waits for those who wait for it": "SV-4.2",
    "a start after the signal": "SV-6.3",
}


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

    def changed(self, s: int, phase: str, own: str) -> "State":
        return self.with_service(s, self.services[s]._replace(phase=phase, own=own))

    def with_service(self, s: int, service: Service) -> "State":
        return self._replace(services=(*self.services[:s], service, *self.services[s + 1 :]))


class World(NamedTuple):
    """What never changes: who depends on whom, and which fault the services have."""

    dependencies: Dependencies
    faults: frozenset[str] = frozenset()

    def dependents(self, s: int) -> tuple[int, ...]:
        return tuple(d for d, of in enumerate(self.dependencies) if s in of)


class Step(NamedTuple):
    """One row's effect on one service."""

    name: str
    service: int
    after: State


Guard = Callable[[World, State, int], bool]
Effect = Callable[[World, State, int], State]


class Row(NamedTuple):
    name: str
    rules: tuple[str, ...]
    when: Guard
    effect: Effect


# ------------------------------------------------------------------------------------------------------------ predicates


def nobody_uses_it(world: World, state: State, s: int) -> bool:
    """No dependent's own part runs, or is due. One that only waits for its dependencies uses none of them."""
    if "no drain" in world.faults:
        return True
    if "a drain that waits for those who wait for it" in world.faults:
        return all(state.services[d].phase == STOPPED for d in world.dependents(s))
    return all(state.services[d].own == NOTHING for d in world.dependents(s))


def shutting_down(world: World, state: State) -> bool:
    return state.signals > 0 and "a start after the signal" not in world.faults


def may_be_started(world: World, state: State, s: int) -> bool:
    return not shutting_down(world, state)


def has_callers(world: World, state: State, s: int) -> bool:
    return state.services[s].callers > 0


def not_stopped(world: World, state: State, s: int) -> bool:
    return state.services[s].phase != STOPPED


def no_restart_under_way(world: World, state: State, s: int) -> bool:
    return state.restart is None and may_be_started(world, state, s)


def somebody_runs(world: World, state: State, s: int) -> bool:
    return s == 0 and state.signals < 2 and any(service.phase != STOPPED for service in state.services)


def runs(own: str, *phases: str) -> Guard:
    return lambda world, state, s: state.services[s].own == own and state.services[s].phase in phases


def work_is_asked_to_end(world: World, state: State, s: int) -> bool:
    return state.services[s].own == WORK and state.services[s].phase == STOPPING and nobody_uses_it(world, state, s)


def grace_runs(world: World, state: State, s: int) -> bool:
    return work_is_asked_to_end(world, state, s) and state.signals < 2


def no_grace_is_left(world: World, state: State, s: int) -> bool:
    return work_is_asked_to_end(world, state, s) and state.signals == 2


def hook_has_completed(world: World, state: State, s: int) -> bool:
    return (state.services[s].phase, state.services[s].own) == (STARTING, READY)


def hook_has_failed(world: World, state: State, s: int) -> bool:
    return (state.services[s].phase, state.services[s].own) == (STARTING, FAILED)


def work_is_due(world: World, state: State, s: int) -> bool:
    return state.services[s].own == READY and (
        state.services[s].phase == RUNNING
        or (state.services[s].phase == STOPPING and not nobody_uses_it(world, state, s))
    )


def a_dependent_waits_for_it(world: World, state: State, s: int) -> bool:
    return (
        state.services[s].phase == STOPPED
        and any(state.services[d].waiting for d in world.dependents(s))
        and not shutting_down(world, state)
    )


def dependencies_run(world: World, state: State, s: int) -> bool:
    return state.services[s].waiting and all(state.services[d].phase == RUNNING for d in world.dependencies[s])


def nobody_wants_the_start(world: World, state: State, s: int) -> bool:
    return (
        state.services[s].phase == STARTING
        and state.services[s].callers == 0
        and not any(state.services[d].waiting for d in world.dependents(s))
        and not restarting(state, s)
    )


def restarting(state: State, s: int) -> bool:
    restart = state.restart
    return restart is not None and ((restart.of == s and restart.step == "start") or s in restart.begun)


def is_done(world: World, state: State, s: int) -> bool:
    return state.services[s].phase == STOPPING and state.services[s].own in (NOTHING, FAILED, DONE)


def stop_hook_is_due(world: World, state: State, s: int) -> bool:
    return (
        state.services[s].phase == STOPPING
        and state.services[s].own in (READY, IDLE)
        and nobody_uses_it(world, state, s)
    )


def wanted_after_the_stop(world: World, state: State, s: int) -> bool:
    return state.services[s].phase == STOPPED and state.services[s].callers > 0 and not shutting_down(world, state)


def is_to_be_restarted(world: World, state: State, s: int) -> bool:
    restart = state.restart
    return restart is not None and (restart.of, restart.step, state.services[s].phase) == (s, "stop", STOPPED)


def restart_may_share_its_start(world: World, state: State, s: int) -> bool:
    restart = state.restart
    return restart is not None and (restart.of, restart.step) == (s, "stop") and state.services[s].active


def followers_may_start(world: World, state: State, s: int) -> bool:
    restart = state.restart
    return restart is not None and (restart.of, restart.step, state.services[s].phase) == (s, "start", RUNNING)


def is_to_follow(world: World, state: State, s: int) -> bool:
    restart = state.restart
    return (
        restart is not None
        and restart.step == "follow"
        and s in restart.followers
        and s not in restart.begun
        and state.services[s].phase != STOPPING
    )


def followers_are_up_or_down(world: World, state: State, s: int) -> bool:
    restart = state.restart
    return (
        restart is not None
        and (restart.of, restart.step, restart.begun) == (s, "follow", restart.followers)
        and all(state.services[f].phase in (RUNNING, STOPPED) for f in restart.followers)
    )


# --------------------------------------------------------------------------------------------------------------- effects


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
    if not state.services[s].active:
        return state
    if state.services[s].phase == STARTING and "stop ignored while starting" in world.faults:
        return state
    return ask(world, state, s)


def restart(world: World, state: State, s: int) -> State:
    state = ask(world, state, s)
    return state._replace(restart=Restart(s, state.services[s].taken_down))


def signal(world: World, state: State, s: int) -> State:
    for each in range(len(state.services)):
        state = ask(world, state, each)
        state = state.with_service(each, state.services[each]._replace(callers=0))
    return state._replace(signals=state.signals + 1, restart=None)


def start_hook_raises(world: World, state: State, s: int) -> State:
    return state.changed(s, state.services[s].phase, STUCK if "stuck on a failed start" in world.faults else FAILED)


def runs_now(world: World, state: State, s: int) -> State:
    return state.with_service(s, state.services[s]._replace(phase=RUNNING, callers=0))


def work_fails(world: World, state: State, s: int) -> State:
    return ask(world, state.changed(s, state.services[s].phase, IDLE), s)


def stop_hook_raises(world: World, state: State, s: int) -> State:
    return state.changed(s, STOPPING, STUCK if "stuck on a failed stop" in world.faults else DONE)


def to(own: str) -> Effect:
    return lambda world, state, s: state.changed(s, state.services[s].phase, own)


def is_stopped(world: World, state: State, s: int) -> State:
    """With the last service the handlers of the signals go: a later start is none of this shutdown."""
    state = state.with_service(s, Service(callers=state.services[s].callers))
    return state if any(service.phase != STOPPED for service in state.services) else state._replace(signals=0)


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
    Row("the start hook raises", ("SV-2.3",), runs(START_HOOK, STARTING, STOPPING), start_hook_raises),
    Row("the work fails", ("SV-3.2",), runs(WORK, RUNNING, STOPPING), work_fails),
    Row("the work ends", ("SV-3.1",), runs(WORK, RUNNING, STOPPING), to(READY)),
    Row("the grace runs out", ("SV-4.3",), grace_runs, to(CANCELLED_WORK)),
    Row("the cancelled work ends, or is left behind", ("SV-4.3",), runs(CANCELLED_WORK, STOPPING), to(IDLE)),
    Row("the stop hook returns", ("SV-2.3", "SV-4.3"), runs(STOP_HOOK, STOPPING), to(DONE)),
    Row("the stop hook raises", ("SV-4.4",), runs(STOP_HOOK, STOPPING), stop_hook_raises),
)

UNSEEN = (
    Row("a dependent starts it", ("SV-2.1",), a_dependent_waits_for_it, begin),
    Row("its start hook runs", ("SV-2.1",), dependencies_run, to(START_HOOK)),
    Row("it is RUNNING", ("SV-1.2", "SV-2.1"), hook_has_completed, runs_now),
    Row("its start has failed", ("SV-1.3", "SV-2.3"), hook_has_failed, ask),
    Row("its work is called", ("SV-3.1", "SV-4.2"), work_is_due, to(WORK)),
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
# fmt: on

RULES_OF_THE_TABLE = frozenset(rule for row in CALLS + USERS_PART + UNSEEN for rule in row.rules) | {"SV-1.1"}


def initial(dependencies: Dependencies) -> State:
    """New services are STOPPED (SV-1.1)."""
    return State(tuple(Service() for _ in dependencies))


def steps(world: World, state: State, table: tuple[Row, ...]) -> Iterator[Step]:
    """What a table permits in a state."""
    for s in range(len(state.services)):
        for row in table:
            if row.when(world, state, s):
                yield Step(row.name, s, row.effect(world, state, s))
