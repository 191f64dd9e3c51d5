"""What holds of services in every state that can be reached, and of every step: the rules' promises, as properties.

`ALWAYS` holds in every state, `NEVER` of no step, and each of `SOMETIMES` in at least one state: what is never reached has not been
checked.
"""

from collections.abc import Callable

from .faults import STUCK
from .guards import nobody_uses_it, shutting_down
from .machine import Step
from .states import (
    CANCELLED_WORK,
    DONE,
    FAILED,
    IDLE,
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
    State,
    World,
)

__all__ = ["ALWAYS", "NEVER", "SOMETIMES", "SOMETIMES_IN_A_BLOCK"]


def uses_only_what_is_there(world: World, state: State) -> bool:
    """While a hook or the work of a service runs, nobody ends the work of its dependencies (it may have failed)."""
    return all(
        state.services[s].own in (NOTHING, FAILED, READY, IDLE, DONE, STUCK)
        or all(state.services[d].own in (READY, WORK, IDLE) for d in world.dependencies[s])
        for s in range(len(state.services))
    )


def own_part_fits_the_phase(world: World, state: State) -> bool:
    fitting = {
        STOPPED: (NOTHING,),
        STARTING: (NOTHING, START_HOOK, FAILED, READY),
        RUNNING: (READY, WORK),
        STOPPING: (NOTHING, START_HOOK, FAILED, READY, WORK, CANCELLED_WORK, IDLE, STOP_HOOK, DONE),
    }
    return all(service.own in fitting[service.phase] for service in state.services)


def leaves_the_order_of_the_phases(world: World, state: State, step: Step) -> bool:
    order = {(STOPPED, STARTING), (STARTING, RUNNING), (RUNNING, STOPPING), (STARTING, STOPPING), (STOPPING, STOPPED)}
    changed = zip(state.services, step.after.services, strict=True)
    return any(a.phase != b.phase and (a.phase, b.phase) not in order for a, b in changed)


def starts_during_a_shutdown(world: World, state: State, step: Step) -> bool:
    changed = zip(state.services, step.after.services, strict=True)
    return shutting_down(world, state) and any(a.phase == STOPPED and b.phase == STARTING for a, b in changed)


def ignores_a_stop(world: World, state: State, step: Step) -> bool:
    return step.name in ("stop", "signal", "the block is left") and step.after.services[step.service].active


def begins_work_after_the_stop(world: World, state: State, step: Step) -> bool:
    stopping = state.services[step.service].phase == STOPPING
    return step.name == "its work is called" and stopping and nobody_uses_it(world, state, step.service)


ALWAYS: dict[str, Callable[[World, State], bool]] = {
    "no hook and no work uses a dependency that is torn down": uses_only_what_is_there,
    "the user's part fits the phase": own_part_fits_the_phase,
}

NEVER: dict[str, Callable[[World, State, Step], bool]] = {
    "a service leaves the order of the phases": leaves_the_order_of_the_phases,
    "a service starts during a shutdown": starts_during_a_shutdown,
    "a stop is ignored": ignores_a_stop,
    "a call of work begins after the stop was asked for": begins_work_after_the_stop,
}

SOMETIMES: dict[str, Callable[[World, State], bool]] = {
    "work goes on while a dependent stops": lambda world, state: any(
        state.services[s].phase == STOPPING
        and state.services[s].own == WORK
        and any(state.services[d].own == STOP_HOOK for d in world.dependents(s))
        for s in range(len(state.services))
    ),
    "a start hook is given up": lambda world, state: any(
        s.phase == STOPPING and s.own == START_HOOK for s in state.services
    ),
    "a start is wanted while the service stops": lambda world, state: any(
        s.phase == STOPPING and s.callers for s in state.services
    ),
    "work is cancelled": lambda world, state: any(s.own == CANCELLED_WORK for s in state.services),
    "a dependent waits for a dependency that stops": lambda world, state: any(
        state.services[s].waiting and any(state.services[d].phase == STOPPING for d in world.dependencies[s])
        for s in range(len(state.services))
    ),
    "a restart brings up what it took down": lambda world, state: bool(state.restart and state.restart.begun),
    "a second signal comes": lambda world, state: state.signals == 2,
}

# Where there is a block.
SOMETIMES_IN_A_BLOCK: dict[str, Callable[[World, State], bool]] = {
    "a block in which all have stopped goes on": lambda world, state: (
        state.block == SHUT_DOWN and state.signals == 0 and all(s.phase == STOPPED for s in state.services)
    ),
    "a stop hook is cut short": lambda world, state: state.time_is_over and any(s.own == DONE for s in state.services),
}
