"""Exploring the model of services exhaustively: every state that can be reached, and what holds in all of them.

Within bounds: so many services with given dependencies, at most one caller of `start()` a service, one restart and two signals
at a time, and, where that is asked for, one block of `run_services` around them. What holds is in `service.properties`. Three
properties are those of paths: with nobody calling anything, whatever has begun ends; all services can be brought to STOPPED from
wherever they are; and a shutdown whose time is over waits for nobody.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from .service.faults import Fault
from .service.guards import all_are_stopped
from .service.machine import BLOCK, CALLS, UNSEEN, USERS_PART, Row, Step, initial, steps
from .service.properties import ALWAYS, NEVER
from .service.states import RUNNING, STOPPED, Dependencies, State, World

__all__ = ["ENDS", "IN_TIME", "REACHABLE", "Explored", "explore", "graphs", "violations"]

MOST_CALLERS = 1

# What brings nothing nearer to its end, and what needs nobody.
NO_END = {row.name for row in CALLS} | {"its work is called", "a block is entered", "the block is left"}
BY_ITSELF = {row.name for row in UNSEEN} | {"it is cut short", "the block has ended"}

ENDS = "with nobody calling anything, whatever has begun ends"
REACHABLE = "STOPPED can be reached from every state"
IN_TIME = "a shutdown whose time is over waits for nobody"


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


def explore(
    world: World, calls: tuple[Row, ...] = CALLS, *, block: bool = False, fault: Fault | None = None
) -> Explored:
    """Every state that can be reached, breadth first."""
    first = initial(world.dependencies)
    explored = Explored(world, {first: None}, {})
    fringe = deque([first])
    rows = UNSEEN + USERS_PART + calls + (BLOCK if block else ())
    if fault:
        rows = fault.of(rows)
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
            wrong = next((step for step in following if happens(world, state, step)), None)
            if wrong:
                yield name, [*explored.path(state), f"{wrong.name} ({wrong.service})"]
                break
    for state in explored.steps:
        if not explored.on_their_own(state) and not all(s.phase in (STOPPED, RUNNING) for s in state.services):
            yield ENDS, explored.path(state)
            break
    for state, following in explored.steps.items():
        if state.time_is_over and not all_are_stopped(state) and not any(s.name in BY_ITSELF for s in following):
            yield IN_TIME, explored.path(state)
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
