"""What a machine does in the end, if no step that stays possible is put off for ever (weak fairness)."""

from array import array
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, NamedTuple

from .explorer import Graph, Label, State

__all__ = ["Leaving"]


class Leaving(NamedTuple, Generic[State, Label]):
    """No run stays in these states for ever if it is fair: a step that stays possible, or another of its kind, is taken.

    A run that stays goes around a strongly connected component of these states, or stands still. It can do so fairly if each kind
    of step is taken within the component, or is impossible somewhere in it. The counterexample leads to such a component.

    Attributes:
        states: that are to be left.
        kind: of a label: for what kind of step a run is to be fair; None: for none, it may never be taken.
    """

    states: Callable[[State], bool]
    kind: Callable[[Label], Hashable | None]

    def counterexample(self, graph: Graph[State, Label]) -> list[Label] | None:
        kinds = [self.kind(label) for label in graph.labels]
        bits = {kind: 1 << bit for bit, kind in enumerate(dict.fromkeys(kinds)) if kind is not None}
        fair = [bits.get(kind, 0) for kind in kinds]
        moving = graph.only(lambda label: True)
        for component in self._components(graph):
            inside, always, taken = set(component), -1, 0
            for number in component:
                possible = 0
                for by, after in moving(number):
                    possible |= fair[by]
                    taken |= fair[by] if after in inside else 0
                always &= possible
            if not always & ~taken:
                return graph.path(min(component))
        return None

    def _components(self, graph: Graph[State, Label]) -> Iterator[list[int]]:
        """The strongly connected components of the states, by Tarjan's algorithm."""
        inside = bytes(map(self.states, graph.states))
        moving = graph.only(lambda label: True)
        index, low = (
            array("L", [0]) * len(inside),
            array("L", [0]) * len(inside),
        )  # 0: not met; low: until it is in a component
        count, open_states = 0, list[int]()
        for first in range(len(inside)):
            ways: list[tuple[int, Iterator[tuple[int, int]]]] = []
            entered: int | None = first if inside[first] and not index[first] else None
            while ways or entered is not None:
                if entered is not None:
                    count += 1
                    index[entered] = low[entered] = count
                    open_states.append(entered)
                    ways.append((entered, moving(entered)))
                    entered = None
                state, way = ways[-1]
                for _, after in way:
                    if inside[after] and not index[after]:
                        entered = after
                        break
                    if inside[after] and low[after]:
                        low[state] = min(low[state], index[after])
                else:
                    ways.pop()
                    if ways:
                        low[ways[-1][0]] = min(low[ways[-1][0]], low[state])
                    if low[state] == index[state]:
                        component = [open_states.pop()]
                        while component[-1] != state:
                            component.append(open_states.pop())
                        for each in component:
                            low[each] = 0
                        yield component
