"""Exploring the model of services exhaustively: every state that can be reached, and what holds in all of them.

Within bounds: so many services with given dependencies, at most one caller of `start()` a service, one restart and two signals
at a time. `ALWAYS` holds in every state, `NEVER` of no step, and each of `SOMETIMES` in at least one state: what is never
reached has not been checked. Two properties are those of paths: with nobody calling anything, whatever has begun ends; and all
services can be brought to STOPPED from wherever they are.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .service import (
    CALLS,
    CANCELLED_WORK,
    DONE,
    FAILED,
    IDLE,
    NOTHING,
    READY,
    RUNNING,
    START_HOOK,
    STARTING,
    STOP_HOOK,
    STOPPED,
    STOPPING,
    STUCK,
    UNSEEN,
    USERS_PART,
    WORK,
    Dependencies,
    Row,
    State,
    Step,
    World,
    initial,
    steps,
)

__all__ = ["ALWAYS", "ENDS", "NEVER", "REACHABLE", "SOMETIMES", "Explored", "explore", "graphs", "violations"]

MOST_CALLERS = 1

NO_END = {row.name for row in CALLS} | {"its work is called"}  # what brings nothing nearer to its end

ENDS = "with nobody calling anything, whatever has begun ends"
REACHABLE = "STOPPED can be reached from every state"


class Explored(NamedTuple):
    """What was reached.

    Attributes:
        came_from: of each state, a shortest way to it: the state before and the step; None for the first.
        steps: of each state, the steps that lead on.
    """

    world: World
    came_from: dict[State, tuple[State, Step] | None]
    steps: dict[State, tuple[Step, ...]]

    def path(self, state: State) -> list[str]:
        """The shortest history that leads to a state."""
        came_from = self.came_from[state]
        if came_from is None:
            return []
        before, step = came_from
        return [*self.path(before), f"{step.name} ({step.service})"]

    def on_their_own(self, state: State) -> list[Step]:
        """The steps that need no call: hooks and work end, time passes, services go on. Work that is called again is none."""
        return [step for step in self.steps[state] if step.after != state and step.name not in NO_END]


def graphs(services: int) -> Iterator[Dependencies]:
    """Every dependency graph of so many services: each depends on some of those before it."""
    if services == 0:
        yield ()
        return
    for smaller in graphs(services - 1):
        for chosen in range(2 ** (services - 1)):
            yield (*smaller, tuple(s for s in range(services - 1) if chosen >> s & 1))


def explore(world: World, calls: tuple[Row, ...] = CALLS) -> Explored:
    """Every state that can be reached, breadth first."""
    first = initial(world.dependencies)
    explored = Explored(world, {first: None}, {})
    fringe = deque([first])
    rows = UNSEEN + USERS_PART + calls
    while fringe:
        state = fringe.popleft()
        explored.steps[state] = tuple(
            step
            for step in steps(world, state, rows)
            if all(service.callers <= MOST_CALLERS for service in step.after.services)
        )
        for step in explored.steps[state]:
            if step.after not in explored.came_from:
                explored.came_from[step.after] = (state, step)
                fringe.append(step.after)
    return explored


def violations(explored: Explored) -> Iterator[tuple[str, list[str]]]:
    """Each property that does not hold, with the shortest history that shows it."""
    world = explored.world
    for name, holds in ALWAYS.items():
        for state in explored.steps:
            if not holds(world, state):
                yield name, explored.path(state)
                break
    for name, happens in NEVER.items():
        for state, following in explored.steps.items():
            wrong = next((step for step in following if happens(state, step)), None)
            if wrong:
                yield name, [*explored.path(state), f"{wrong.name} ({wrong.service})"]
                break
    for state in explored.steps:
        if not explored.on_their_own(state) and not all(s.phase in (STOPPED, RUNNING) for s in state.services):
            yield ENDS, explored.path(state)
            break
    if cycle := _cycle(explored):
        yield ENDS, explored.path(cycle)
    if left_out := _not_reaching_stopped(explored):
        yield REACHABLE, explored.path(left_out)


def _cycle(explored: Explored) -> State | None:
    """A state that the services come back to on their own, if there is one: they need not ever end then."""
    unfinished = dict.fromkeys(explored.steps, 0)
    for state in explored.steps:
        for step in explored.on_their_own(state):
            unfinished[step.after] += 1
    ready = [state for state, count in unfinished.items() if not count]
    while ready:
        state = ready.pop()
        del unfinished[state]
        for step in explored.on_their_own(state):
            unfinished[step.after] -= 1
            if not unfinished[step.after]:
                ready.append(step.after)
    return next(iter(unfinished), None)


def _not_reaching_stopped(explored: Explored) -> State | None:
    before: dict[State, list[State]] = {state: [] for state in explored.steps}
    for state, following in explored.steps.items():
        for step in following:
            before[step.after].append(state)
    reaching = {state for state in explored.steps if all(s.phase == STOPPED for s in state.services)}
    fringe = list(reaching)
    while fringe:
        new = [state for state in before[fringe.pop()] if state not in reaching]
        reaching.update(new)
        fringe.extend(new)
    return next((state for state in explored.steps if state not in reaching), None)


# ------------------------------------------------------------------------------------------------------------ properties


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


def leaves_the_order_of_the_phases(state: State, step: Step) -> bool:
    order = {(STOPPED, STARTING), (STARTING, RUNNING), (RUNNING, STOPPING), (STARTING, STOPPING), (STOPPING, STOPPED)}
    changed = zip(state.services, step.after.services, strict=True)
    return any(a.phase != b.phase and (a.phase, b.phase) not in order for a, b in changed)


def starts_during_a_shutdown(state: State, step: Step) -> bool:
    changed = zip(state.services, step.after.services, strict=True)
    return state.signals > 0 and any(a.phase == STOPPED and b.phase == STARTING for a, b in changed)


def ignores_a_stop(state: State, step: Step) -> bool:
    return step.name in ("stop", "signal") and step.after.services[step.service].active


ALWAYS: dict[str, Callable[[World, State], bool]] = {
    "no hook and no work uses a dependency that is torn down": uses_only_what_is_there,
    "the user's part fits the phase": own_part_fits_the_phase,
}

NEVER: dict[str, Callable[[State, Step], bool]] = {
    "a service leaves the order of the phases": leaves_the_order_of_the_phases,
    "a service starts during a shutdown": starts_during_a_shutdown,
    "a stop is ignored": ignores_a_stop,
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
