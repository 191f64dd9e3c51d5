"""Exploring more services than `explorer` can keep in memory: the same properties, and no paths to what breaks them.

A state is stored once, and a step as a number: a diamond of four services with restarts has 5,718,590 states.
"""

from array import array
from typing import NamedTuple

from .explorer import ENDS, MOST_CALLERS, NO_END, REACHABLE
from .service.faults import Fault
from .service.guards import all_are_stopped
from .service.machine import CALLS, UNSEEN, USERS_PART, Row, initial, steps
from .service.properties import ALWAYS, NEVER
from .service.states import RUNNING, STOPPED, Service, World

__all__ = ["Found", "search"]


class Found(NamedTuple):
    """How many states there are, and what does not hold in them."""

    states: int
    broken: tuple[str, ...]


def search(world: World, calls: tuple[Row, ...] = CALLS, *, fault: Fault | None = None) -> Found:
    """Look at every state that can be reached, and at every step."""
    rows = UNSEEN + USERS_PART + calls
    if fault:
        rows = fault.of(rows)
    first = initial(world.dependencies)
    numbers, states, shared = {first: 0}, [first], dict[Service, Service]()
    before, after, on_their_own = array("I"), array("I"), bytearray()
    broken: dict[str, None] = {}
    is_stuck = False
    for number, state in enumerate(states):  # which grows meanwhile
        broken.update((name, None) for name, holds in ALWAYS.items() if not holds(world, state))
        rests = True
        for step in steps(world, state, rows):
            if any(service.callers > MOST_CALLERS for service in step.after.services):
                continue
            broken.update((name, None) for name, happens in NEVER.items() if happens(world, state, step))
            found = step.after
            if found not in numbers:
                found = found._replace(services=tuple(shared.setdefault(each, each) for each in found.services))
                numbers[found] = len(states)
                states.append(found)
            before.append(number)
            after.append(numbers[found])
            on_its_own = step.after != state and step.name not in NO_END
            on_their_own.append(on_its_own)
            rests = rests and not on_its_own
        is_stuck = is_stuck or (rests and not all(service.phase in (STOPPED, RUNNING) for service in state.services))
    stopped = [number for number, state in enumerate(states) if all_are_stopped(state)]
    steps_of_states = Steps(before, after, on_their_own, len(states))
    count = len(states)
    del numbers, states, shared
    if is_stuck or steps_of_states.have_a_cycle():
        broken[ENDS] = None
    if not steps_of_states.lead_from_all_to(stopped):
        broken[REACHABLE] = None
    return Found(count, tuple(broken))


class Steps:
    """The steps between numbered states, in the order of the states that they lead from."""

    def __init__(self, before: "array[int]", after: "array[int]", on_their_own: bytearray, states: int) -> None:
        self.before = before
        self.after = after
        self.on_their_own = on_their_own
        self.states = states

    def have_a_cycle(self) -> bool:
        """Whether states lead to each other with nobody calling anything: what has begun need not ever end then."""
        first = array("I", [0]) * (self.states + 1)  # of each state, the first of its steps
        for number in self.before:
            first[number + 1] += 1
        for number in range(self.states):
            first[number + 1] += first[number]
        unfinished = array("I", [0]) * self.states
        for number, own in zip(self.after, self.on_their_own, strict=True):
            unfinished[number] += own
        ready = [number for number in range(self.states) if not unfinished[number]]
        left = self.states
        while ready:
            number = ready.pop()
            left -= 1
            for step in range(first[number], first[number + 1]):
                if self.on_their_own[step]:
                    following = self.after[step]
                    unfinished[following] -= 1
                    if not unfinished[following]:
                        ready.append(following)
        return left > 0

    def lead_from_all_to(self, goal: list[int]) -> bool:
        """Whether the goal can be reached from every state."""
        reaching = bytearray(self.states)
        for number in goal:
            reaching[number] = 1
        found = len(goal)
        while found:
            found = 0
            for step in range(len(self.before) - 1, -1, -1):
                if reaching[self.after[step]] and not reaching[self.before[step]]:
                    reaching[self.before[step]] = 1
                    found += 1
        return all(reaching)
