"""The edges of the explored machine, and which of them a target has shown.

An edge is *shown* if the machine takes it in a run that explains something that the target did, from the beginning until all was at
rest. The rules leave freedom, and no implementation uses all of it: one that commits a message in the call of its send never shows
a commit that comes later. A walk tries every schedule within the bounds. So the edges that it has not shown are those that only
another implementation can show. They are counted by kind.
"""

from collections import Counter
from collections.abc import Iterator, Set
from typing import NamedTuple

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.checker import advance
from aioservicekit_model.channel.history import JOINS, rest
from aioservicekit_model.channel.machine import State, overdue
from aioservicekit_model.channel.world import ENDS, Bounds, Label, World, channel, closed_world
from aioservicekit_model.explorer import Machine, explore

from ..running.watchdog import alive
from .walk import Step, Walk

__all__ = ["Edge", "Shown", "edges_of", "kind_of", "shown", "taken"]


class Edge(NamedTuple):
    """A step of the machine among its users, without what the users have left to do."""

    before: State
    step: str
    number: int
    after: State


class Shown(NamedTuple):
    """Which edges a walk has shown.

    Attributes:
        edges: the number of edges within the bounds.
        shown: how many of them a run of the machine took that explains what the target did.
        others: the number of other edges, by kind.
    """

    edges: int
    shown: int
    others: Counter[str]


def edges_of(bounds: Bounds) -> set[Edge]:
    """All edges within bounds."""
    world = closed_world(machine, bounds._replace(reduced=False))

    def steps(before: World) -> Iterator[tuple[Label, World]]:
        alive()
        for label, after in world.steps(before):
            yield label, after._replace(due=before.due, taken=before.taken)  # ghosts, which are always empty here

    graph = explore(Machine(world.first, steps))
    return {
        Edge(channel(state), graph.labels[by].step, graph.labels[by].number, channel(graph.states[after]))
        for number, state in enumerate(graph.states)
        for by, after in graph.steps(number)
    }


def shown(walked: Walk, bounds: Bounds) -> Shown:
    """Which edges a walk has shown, of all within its bounds."""
    edges = edges_of(bounds)
    found = taken(walked) & edges
    return Shown(len(edges), len(found), Counter(map(kind_of, edges - found)))


def taken(walked: Walk) -> set[Edge]:
    """The edges on runs of the machine that explain what was seen from the beginning until all was at rest."""
    at_rest = {0, *(step.after for step in walked.steps if step.events[-1:] == (rest(),))}
    leading = [set(node.states) if number in at_rest else set() for number, node in enumerate(walked.nodes)]
    growing = True
    while growing:  # backwards, from all that is at rest to all that leads there
        growing = False
        for step in reversed(walked.steps):
            alive()
            before = len(leading[step.before])
            leading[step.before] |= _leading(walked, step, leading[step.after], set())
            growing = growing or len(leading[step.before]) > before
    found: set[Edge] = set()
    for step in walked.steps:
        _leading(walked, step, leading[step.after], found)
    return found


def _leading(walked: Walk, step: Step, goal: Set[State], found: set[Edge]) -> set[State]:
    """The states before a step of the walk from which a run of the machine leads to the goal; adds the edges of such runs."""
    sets = [walked.nodes[step.before].states]
    for event in step.events:
        sets.append(advance(machine, sets[-1], event))
    leading = _inside(sets[-1], goal, found)
    for event, states in zip(reversed(step.events), reversed(sets[:-1]), strict=True):
        seen = {(state, after) for state in states for after in machine.see(state, event) if after in leading}
        if event.what != "observe":
            what = ENDS if event.what in ("return", "raise") else event.what
            found |= {Edge(state, what, event.op, after) for state, after in seen}
        leading = _inside(states, {state for state, _ in seen}, found)
    return leading


def _inside(states: Set[State], goal: Set[State], found: set[Edge]) -> set[State]:
    """The states from which internal actions lead to the goal."""
    edges = [edge for state in states for edge in _actions(state)]
    leading = set(goal)
    growing = True
    while growing:
        more = {edge.before for edge in edges if edge.after in leading} - leading
        leading |= more
        growing = bool(more)
    found |= {edge for edge in edges if edge.after in leading}
    return leading


def _actions(state: State) -> Iterator[Edge]:
    return (Edge(state, action.name, op.number, after) for action, op, after in machine.steps(state))


def kind_of(edge: Edge) -> str:
    """Which freedom leads to an edge: what is under way before it that need not be."""
    others = [op for op in edge.before.operations if op.number != edge.number]
    if any(op.kind in (*JOINS, "close") for op in others):
        return "something happens while a join or a closing is under way"
    if any(op.outcome for op in others):
        return "something happens before an operation ends that has succeeded or failed"
    if any(op.cancel_requested for op in others):
        return "something happens before an operation ends that was asked to cancel"
    if any(overdue(edge.before)):
        return "an operation waits that could go on"
    return "an operation waits at its call, or ends by itself, at another time"
