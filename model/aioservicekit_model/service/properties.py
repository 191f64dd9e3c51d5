"""What the rules promise about services, as properties for the explorer, each with the rules that it stands for."""

from collections.abc import Callable, Iterator
from functools import partial

from ..explorer import AlwaysReachable, DeadlockFree, Forbidden, Invariant, Machine, Property, Sometimes, Terminating
from .blocks import BLOCK, ENTERING
from .machine import CALLS, INTERNAL, Action, Label, has_callers, initial, no, not_in_a_shutdown, steps, unused
from .policies import FAILING, STARTING_AGAIN, STOPPED_MEANWHILE, left_to_follow
from .restarts import RESTART, RESTARTING, may_start
from .signals import SIGNALS
from .state import (
    CANCELLED_WORK,
    DONE,
    FAILED,
    FAILS_FAST,
    HAS_FAILED,
    IDLE,
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
    Dependencies,
    State,
    World,
)

__all__ = ["bounded", "graphs", "promises", "situations"]


def bounded(world: World, actions: tuple[Action, ...]) -> Machine[State, Label]:
    """Services that take these actions, with at most one caller per start, so that there are finitely many states."""
    actions = tuple(
        action._replace(guards=(*action.guards, no(has_callers))) if action.name == "start" else action
        for action in actions
    )
    return Machine((initial(world),), partial(steps, world, actions=actions))


def graphs(services: int) -> Iterator[Dependencies]:
    """Every dependency graph of this many services: each depends on some of those before it."""
    if services == 0:
        yield ()
        return
    for smaller in graphs(services - 1):
        for chosen in range(2 ** (services - 1)):
            yield (*smaller, tuple(s for s in range(services - 1) if chosen >> s & 1))


def promises(world: World) -> dict[str, Property[State, Label]]:
    """Properties that should hold whatever happens."""
    return {
        "no hook and no work uses a dependency that is torn down (SV-4.2)": Invariant(
            partial(uses_what_is_there, world)
        ),
        "the activity fits the phase (SV-1.3, SV-2.1, SV-3.1, SV-4.3)": Invariant(activity_fits_the_phase),
        "phases follow each other in their order (SV-1.2)": Forbidden(leaves_the_order_of_phases),
        "nothing starts in a shutdown (SV-6.2, SV-6.3)": Forbidden(partial(starts_in_a_shutdown, world)),
        "no stop is ignored (SV-4.1, SV-4.6)": Forbidden(ignores_a_stop),
        "work is not called after it was asked to end (SV-3.1, SV-3.4)": Forbidden(partial(works_after_the_end, world)),
        "with nobody calling anything, what has begun goes on (SV-1.3, SV-4.2)": DeadlockFree(
            is_no_call, all_are_up_or_down
        ),
        "with nobody calling anything, what has begun ends (SV-2.3, SV-3.2)": Terminating(is_no_call),
        "STOPPED can be reached from everywhere (SV-1.3, SV-2.3, SV-4.4)": AlwaysReachable(all_stopped),
        "a shutdown whose time is over waits for nobody (SV-6.6)": DeadlockFree(needs_no_user, may_take_its_time),
        "work that has failed for good has stopped its service (SV-3.2)": Forbidden(fails_without_stopping),
        "what is stopped meanwhile is not started again (SV-3.2)": Forbidden(partial(undoes_a_stop, world)),
        "a failure loses nobody whom an earlier one took down (SV-3.2)": Forbidden(loses_a_follower),
        "in a block that fails fast, a failure is one of the block (SV-6.6)": Forbidden(is_no_failure_of_the_block),
        "only a failure for good fails the block (SV-3.2, SV-6.6)": Forbidden(fails_the_block_by_itself),
        "a block that has failed waits for nobody to stop the others (SV-6.6)": DeadlockFree(
            needs_no_user, has_not_failed
        ),
        "a signal reaches the services, and the program's own handler (SV-6.5)": Forbidden(does_not_reach_all),
        "a signal that is none of the services' changes nothing (SV-6.5)": Forbidden(changes_by_a_foreign_signal),
    }


def uses_what_is_there(world: World, state: State) -> bool:
    """While a hook or the work of a service runs, nobody has ended the work of its dependencies (it may have failed)."""
    return all(
        service.activity not in (START_HOOK, WORK, CANCELLED_WORK, STOP_HOOK)
        or all(state.services[d].activity in (READY, WORK, IDLE) for d in world.dependencies[s])
        for s, service in enumerate(state.services)
    )


FITTING = {
    STOPPED: (NOTHING,),
    STARTING: (NOTHING, START_HOOK, FAILED, READY),
    RUNNING: (READY, WORK),
    STOPPING: (NOTHING, START_HOOK, FAILED, READY, WORK, CANCELLED_WORK, IDLE, STOP_HOOK, DONE),
}


def activity_fits_the_phase(state: State) -> bool:
    return all(service.activity in FITTING[service.phase] for service in state.services)


ORDER = {(STOPPED, STARTING), (STARTING, RUNNING), (RUNNING, STOPPING), (STARTING, STOPPING), (STOPPING, STOPPED)}


def changes_of_phase(state: State, after: State) -> set[tuple[str, str]]:
    return {(a.phase, b.phase) for a, b in zip(state.services, after.services, strict=True) if a.phase != b.phase}


def leaves_the_order_of_phases(state: State, label: Label, after: State) -> bool:
    return not changes_of_phase(state, after) <= ORDER


def starts_in_a_shutdown(world: World, state: State, label: Label, after: State) -> bool:
    return (STOPPED, STARTING) in changes_of_phase(state, after) and not not_in_a_shutdown(world, state, label.service)


def ignores_a_stop(state: State, label: Label, after: State) -> bool:
    return (
        label.action in ("stop", "signal", "the block is left", "a failure stops all")
        and after.services[label.service].active
    )


def works_after_the_end(world: World, state: State, label: Label, after: State) -> bool:
    if label.action != "its work is called":
        return False
    return state.services[label.service].phase == STOPPING and unused(world, state, label.service)


FAILURES = ("the work fails", "the work fails, and it starts again")


def fails_without_stopping(state: State, label: Label, after: State) -> bool:
    service = after.services[label.service]
    return label.action in FAILURES and (service.phase, service.activity) != (STOPPING, IDLE)


STOPS = {"stop", *(action.name for action in STOPPED_MEANWHILE)}


def undoes_a_stop(world: World, state: State, label: Label, after: State) -> bool:
    """A restart that nobody asked for goes on although its service was stopped, or starts a dependency that was."""
    if label.action in STOPS:
        restart = after.restart
        return restart is not None and restart.times > 0 and label.service in (restart.of, *restart.followers)
    starts = label.action in ("the restart starts it", "the restart starts it again")
    return starts and not may_start(world, state, label.service)


def loses_a_follower(state: State, label: Label, after: State) -> bool:
    if label.action != "the work fails, and it starts again" or after.restart is None:
        return False
    return not left_to_follow(state) <= {*after.restart.followers}


def is_no_failure_of_the_block(state: State, label: Label, after: State) -> bool:
    fails = label.action in ("the work fails", "its start has failed") and state.services[label.service].active
    return fails and after.restart is None and after.block == FAILS_FAST


def fails_the_block_by_itself(state: State, label: Label, after: State) -> bool:
    if (state.block, after.block) != (FAILS_FAST, HAS_FAILED):
        return False
    if label.action == "its start is tried again":  # what stops with it, and is not to follow, has failed for good
        again = (label.service, *(after.restart.followers if after.restart else ()))
        stops = [s for s, service in enumerate(state.services) if service.active and not after.services[s].active]
        return set(stops).issubset(again)
    return label.action not in ("the work fails", "its start has failed")


def has_not_failed(state: State) -> bool:
    return state.block != HAS_FAILED


def does_not_reach_all(state: State, label: Label, after: State) -> bool:
    if label.action != "signal" or all_stopped(after):
        return False
    return after.heard == state.heard or any(service.active for service in after.services)


def changes_by_a_foreign_signal(state: State, label: Label, after: State) -> bool:
    return label.action in ("an ignored signal", "a signal that the block does not heed") and after != state


# Calls, and work that is only called again, bring nothing that has begun nearer to its end.
CALLED = {action.name for action in CALLS + SIGNALS + RESTART + STOPPED_MEANWHILE + ENTERING} | {
    "its work is called",
    "the block is left",
}


def is_no_call(label: Label) -> bool:
    return label.action not in CALLED


def all_are_up_or_down(state: State) -> bool:
    return state.restart is None and all(service.phase in (RUNNING, STOPPED) for service in state.services)


def all_stopped(state: State) -> bool:
    return all(service.phase == STOPPED for service in state.services)


# What happens even if no hook and no work ever ends.
BY_ITSELF = {action.name for action in INTERNAL + RESTARTING + STARTING_AGAIN} | {
    "a failure stops all",
    "it is cut short",
    "the block has ended",
}


def needs_no_user(label: Label) -> bool:
    return label.action in BY_ITSELF


def may_take_its_time(state: State) -> bool:
    return not state.time_is_over or all_stopped(state)


def situations(world: World, actions: tuple[Action, ...]) -> dict[str, Property[State, Label]]:
    """Situations that should come about, if there are the dependencies, restarts and blocks that they need."""
    found = dict(OF_ANY)
    if any(world.dependencies):
        found |= OF_DEPENDENTS
        if RESTART[0] in actions:
            found |= OF_RESTARTS
    if BLOCK[0] in actions:
        found |= OF_BLOCKS
    if FAILING[0] in actions:
        found |= OF_FAILURES
    return {name: Sometimes(partial(happens, world)) for name, happens in found.items()}


OF_ANY: dict[str, Callable[[World, State], bool]] = {
    "a start hook is given up": lambda world, state: any(
        s.phase == STOPPING and s.activity == START_HOOK for s in state.services
    ),
    "a start is wanted while the service stops": lambda world, state: any(
        s.phase == STOPPING and s.callers for s in state.services
    ),
    "work is cancelled": lambda world, state: any(s.activity == CANCELLED_WORK for s in state.services),
    "a second signal comes": lambda world, state: state.signals == 2,
}

OF_DEPENDENTS: dict[str, Callable[[World, State], bool]] = {
    "work goes on while a dependent stops": lambda world, state: any(
        (service.phase, service.activity) == (STOPPING, WORK)
        and any(state.services[d].activity == STOP_HOOK for d in world.dependents[s])
        for s, service in enumerate(state.services)
    ),
    "a dependent waits for a dependency that stops": lambda world, state: any(
        service.waiting and any(state.services[d].phase == STOPPING for d in world.dependencies[s])
        for s, service in enumerate(state.services)
    ),
}

OF_RESTARTS: dict[str, Callable[[World, State], bool]] = {
    "a restart brings up what it took down": lambda world, state: bool(state.restart and state.restart.begun),
}

OF_BLOCKS: dict[str, Callable[[World, State], bool]] = {
    "a block in which all have stopped goes on": lambda world, state: (
        state.block == SHUT_DOWN and state.signals == 0 and all_stopped(state)
    ),
    "a block that fails fast has failed": lambda world, state: state.block == HAS_FAILED,
    "a stop hook is cut short": lambda world, state: (
        state.time_is_over and any(s.activity == DONE for s in state.services)
    ),
}

OF_FAILURES: dict[str, Callable[[World, State], bool]] = {
    "a start that failed after a failure is tried again": lambda world, state: (
        state.restart is not None and state.restart.times == MAX_RESTARTS and state.restart.step == "start"
    ),
    "all restarts are used up": lambda world, state: any(s.restarts == MAX_RESTARTS for s in state.services),
}
