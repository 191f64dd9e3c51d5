"""Services: when each row of the tables is permitted."""

from collections.abc import Callable

from .states import (
    CUT_SHORT,
    DONE,
    FAILED,
    IDLE,
    LEFT,
    NO_BLOCK,
    NOTHING,
    OPEN,
    READY,
    RUNNING,
    SHUT_DOWN,
    STARTING,
    STOPPED,
    STOPPING,
    WORK,
    State,
    World,
)

Guard = Callable[[World, State, int], bool]


def nobody_uses_it(world: World, state: State, s: int) -> bool:
    """No dependent's own part runs, or is due. One that only waits for its dependencies uses none of them."""
    return all(state.services[d].own == NOTHING for d in world.dependents(s))


def shutting_down(world: World, state: State) -> bool:
    return state.signals > 0 or state.block in (SHUT_DOWN, LEFT)


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
    return work_is_asked_to_end(world, state, s) and state.signals < 2 and not state.time_is_over


def no_grace_is_left(world: World, state: State, s: int) -> bool:
    return work_is_asked_to_end(world, state, s) and (state.signals == 2 or state.time_is_over)


def is_cut_short(world: World, state: State, s: int) -> bool:
    return state.time_is_over and state.services[s].phase == STOPPING and state.services[s].own in CUT_SHORT


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


def none_is_open(world: World, state: State, s: int) -> bool:
    return s == 0 and state.block == NO_BLOCK and not shutting_down(world, state)


def may_be_left(world: World, state: State, s: int) -> bool:
    return s == 0 and state.block in (OPEN, SHUT_DOWN)


def shutdown_takes_time(world: World, state: State, s: int) -> bool:
    return s == 0 and state.block in (SHUT_DOWN, LEFT) and not state.time_is_over and not all_are_stopped(state)


def is_left_and_stopped(world: World, state: State, s: int) -> bool:
    return s == 0 and state.block == LEFT and all_are_stopped(state)


def all_are_stopped(state: State) -> bool:
    return all(service.phase == STOPPED for service in state.services)


def followers_are_up_or_down(world: World, state: State, s: int) -> bool:
    restart = state.restart
    return (
        restart is not None
        and (restart.of, restart.step, restart.begun) == (s, "follow", restart.followers)
        and all(state.services[f].phase in (RUNNING, STOPPED) for f in restart.followers)
    )
