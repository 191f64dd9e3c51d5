"""Explore a machine: visit every state that it can reach, breadth first, and check properties.

The explorer knows states and steps with labels, and nothing else. States and labels are hashable values; equal states are one
state. Properties say what a machine promises:

* `Invariant`: this holds in every state;
* `Forbidden`: no step does this;
* `Sometimes`: some state shows this; if none does, the checks around it prove nothing;
* `DeadlockFree`: from each state in which the machine may not rest, some step leads on;
* `Terminating`: certain steps form no cycle, so that a run of them ends;
* `AlwaysReachable`: this goal can be reached from every state.

`fairness` has what holds only in fair runs.

The counterexample of a violated property is the labels of a shortest path to the violation. Steps that change nothing are counted,
but lead nowhere.
"""

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

__all__ = [
    "AlwaysReachable",
    "DeadlockFree",
    "Forbidden",
    "Graph",
    "Invariant",
    "Machine",
    "Property",
    "Sometimes",
    "Terminating",
    "explore",
    "violations",
]

State = TypeVar("State", bound=Hashable)
Label = TypeVar("Label", bound=Hashable)


class Machine(NamedTuple, Generic[State, Label]):
    """A machine to explore.

    Attributes:
        first: the states in which it can begin.
        steps: gives the permitted steps of a state: the label of each, and the next state.
    """

    first: tuple[State, ...]
    steps: Callable[[State], Iterable[tuple[Label, State]]]


class Graph(Generic[State, Label]):
    """The states of a machine, by number, and the steps between them.

    Millions of states fit: each takes 14 bytes in addition to itself, and each step takes 6.

    Attributes:
        states: all reached states, nearest first.
        labels: all labels of steps.
        depth: the number of steps to the farthest state.
    """

    def __init__(self) -> None:
        self.states: list[State] = []
        self.labels: list[Label] = []
        self.depth = 0
        self._parents = array("I")  # for each state: from where it was first reached (a first state: from itself)
        self._by = array("H")  # and the label of that step
        self._begin = array("Q", [0])  # for each state: where its steps begin in the next two
        self._labels = array("H")
        self._after = array("I")

    @property
    def fringe(self) -> int:
        """The number of states that have been reached and whose steps have not been taken yet."""
        return len(self.states) - len(self._begin) + 1

    @property
    def number_of_steps(self) -> int:
        return len(self._after)

    def steps(self, number: int) -> Iterator[tuple[int, int]]:
        """The steps from a state: the number of the label, and of the next state."""
        begin, end = self._begin[number], self._begin[number + 1]
        return zip(self._labels[begin:end], self._after[begin:end], strict=True)

    def path(self, number: int) -> list[Label]:
        """The labels of a shortest path from a first state to this one."""
        labels = []
        while self._parents[number] != number:
            labels.append(self.labels[self._by[number]])
            number = self._parents[number]
        return labels[::-1]

    def only(self, labels: Callable[[Label], bool]) -> "Callable[[int], Iterator[tuple[int, int]]]":
        """The steps of a state that have such a label and change something."""
        chosen = bytes(labels(label) for label in self.labels)
        return lambda number: (step for step in self.steps(number) if chosen[step[0]] and step[1] != number)


def explore(
    machine: Machine[State, Label], progress: Callable[[Graph[State, Label]], object] = lambda graph: None
) -> Graph[State, Label]:
    """Visit every state that a machine can reach; there must be finitely many.

    Args:
        machine: the machine to explore.
        progress: called after every ten thousand states, with what has been explored so far.
    """
    graph = Graph[State, Label]()
    states, labels, after = graph.states, graph._labels, graph._after
    numbers: dict[State, int] = {}
    numbers_of_labels: dict[Label, int] = {}

    def numbered(state: State, parent: int, by: int) -> int:
        number = numbers.setdefault(state, len(states))
        if number == len(states):
            states.append(state)
            graph._parents.append(parent)
            graph._by.append(by)
        return number

    for state in machine.first:
        numbered(state, len(states), 0)
    farther = len(states)  # the first state that is one step farther away
    for number, state in enumerate(states):  # which grow meanwhile
        if number == farther:
            graph.depth += 1
            farther = len(states)
        for label, following in machine.steps(state):
            by = numbers_of_labels.setdefault(label, len(graph.labels))
            if by == len(graph.labels):
                graph.labels.append(label)
            labels.append(by)
            after.append(numbered(following, number, by))
        graph._begin.append(len(after))
        if number % 10_000 == 9_999:
            progress(graph)
    return graph


class Property(Protocol[State, Label]):
    """What a machine promises."""

    def counterexample(self, graph: Graph[State, Label], /) -> list[Label] | None:
        """A shortest path to the violation (empty if there is nothing to show), or None if the property holds."""


def violations(graph: Graph[State, Label], properties: Mapping[str, Property[State, Label]]) -> dict[str, list[Label]]:
    """The violated properties, by name, each with a counterexample."""
    found = {name: promised.counterexample(graph) for name, promised in properties.items()}
    return {name: path for name, path in found.items() if path is not None}


class Invariant(NamedTuple, Generic[State]):
    holds: Callable[[State], bool]

    def counterexample(self, graph: Graph[State, Label]) -> list[Label] | None:
        return next((graph.path(number) for number, state in enumerate(graph.states) if not self.holds(state)), None)


class Forbidden(NamedTuple, Generic[State, Label]):
    happens: Callable[[State, Label, State], bool]

    def counterexample(self, graph: Graph[State, Label]) -> list[Label] | None:
        for number, state in enumerate(graph.states):
            for by, after in graph.steps(number):
                if self.happens(state, graph.labels[by], graph.states[after]):
                    return [*graph.path(number), graph.labels[by]]
        return None


class Sometimes(NamedTuple, Generic[State]):
    happens: Callable[[State], bool]

    def counterexample(self, graph: Graph[State, Label]) -> list[Label] | None:
        return None if any(map(self.happens, graph.states)) else []


class DeadlockFree(NamedTuple, Generic[State, Label]):
    """From each state in which the machine may not rest, a step with a chosen label leads on."""

    labels: Callable[[Label], bool]
    may_rest: Callable[[State], bool]

    def counterexample(self, graph: Graph[State, Label]) -> list[Label] | None:
        leading_on = graph.only(self.labels)
        for number, state in enumerate(graph.states):
            if not any(leading_on(number)) and not self.may_rest(state):
                return graph.path(number)
        return None


class Terminating(NamedTuple, Generic[Label]):
    """Steps with the chosen labels form no cycle; a counterexample goes through a cycle once."""

    labels: Callable[[Label], bool]

    def counterexample(self, graph: Graph[State, Label]) -> list[Label] | None:
        leading_on = graph.only(self.labels)
        place = array("l", [-1]) * len(graph.states)  # on the path that is being followed; -1: unknown, -2: no cycle
        for first in range(len(graph.states)):
            if place[first] != -1:
                continue
            place[first] = 0
            states, ways, labels = [first], [leading_on(first)], [0]
            while ways:
                by, after = next(ways[-1], (0, -1))
                if after == -1:
                    place[states.pop()] = -2
                    ways.pop()
                    labels.pop()
                elif place[after] == -1:
                    place[after] = len(states)
                    states.append(after)
                    ways.append(leading_on(after))
                    labels.append(by)
                elif place[after] >= 0:
                    cycle = [*labels[place[after] + 1 :], by]
                    return [*graph.path(after), *(graph.labels[label] for label in cycle)]
        return None


class AlwaysReachable(NamedTuple, Generic[State]):
    goal: Callable[[State], bool]

    def counterexample(self, graph: Graph[State, Label]) -> list[Label] | None:
        reaching = bytearray(map(self.goal, graph.states))
        left = [number for number in reversed(range(len(reaching))) if not reaching[number]]
        while True:
            count = len(left)
            for number in left:
                reaching[number] = any(reaching[after] for _, after in graph.steps(number))
            left = [number for number in left if not reaching[number]]
            if len(left) == count:
                return graph.path(min(left)) if left else None
