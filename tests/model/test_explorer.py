"""The explorer, on machines small enough to know what it must find."""

from collections.abc import Iterable

import pytest

from aioservicekit_model.explorer import (
    AlwaysReachable,
    DeadlockFree,
    Forbidden,
    Graph,
    Invariant,
    Machine,
    Property,
    Sometimes,
    Terminating,
    explore,
    violations,
)

TOP = 12


def counter(number: int) -> Iterable[tuple[str, int]]:
    """Counts to `TOP` in steps of one and of three; at 4 it may also stay, or go back to 2."""
    if number + 1 <= TOP:
        yield "one", number + 1
    if number + 3 <= TOP:
        yield "three", number + 3
    if number == 4:
        yield "stay", 4
        yield "back", 2


@pytest.fixture
def graph() -> Graph[int, str]:
    return explore(Machine((0,), counter))


def test_every_state_is_reached_once(graph: Graph[int, str]) -> None:
    """States come nearest first, each once, and each step is kept with its label."""
    assert sorted(graph.states) == list(range(TOP + 1))
    assert graph.states[:3] == [0, 1, 3]
    assert graph.depth == 5
    assert graph.fringe == 0
    steps = {
        (graph.states[number], graph.labels[by], graph.states[after])
        for number in range(len(graph.states))
        for by, after in graph.steps(number)
    }
    assert steps == {(number, by, after) for number in range(TOP + 1) for by, after in counter(number)}
    assert graph.number_of_steps == len(steps)


def test_paths_are_shortest(graph: Graph[int, str]) -> None:
    """A path leads to its state in as few steps as possible."""
    for number, state in enumerate(graph.states):
        path = graph.path(number)
        assert sum({"one": 1, "three": 3}[label] for label in path) == state
        assert len(path) == state // 3 + state % 3


def test_a_machine_may_begin_in_several_states() -> None:
    """Each first state is its own beginning, and is counted once."""
    graph = explore(Machine((11, 9, 11), counter))
    assert graph.states == [11, 9, 12, 10]
    assert [graph.path(number) for number in range(4)] == [[], [], ["one"], ["one"]]


def test_progress_is_told() -> None:
    """After each ten thousand states, the callback sees what has been explored so far."""
    seen = []
    machine = Machine((0,), lambda number: [("on", number + each) for each in (1, 2) if number + each < 25_000])
    explore(machine, lambda graph: seen.append((len(graph.states), graph.fringe, graph.depth)))
    assert seen == [(10_002, 2, 5_000), (20_002, 2, 10_000)]


def is_one(label: str) -> bool:
    return label == "one"


def is_forward(label: str) -> bool:
    return label in ("one", "three")


def is_any(label: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("promised", "counterexample"),
    [
        (Invariant[int](lambda number: number <= TOP), None),
        (Invariant[int](lambda number: number < 7), ["one", "three", "three"]),
        (Forbidden[int, str](lambda number, label, after: after < number and label != "back"), None),
        (Forbidden[int, str](lambda number, label, after: after < number), ["one", "three", "back"]),
        (Sometimes[int](lambda number: number == 7), None),
        (Sometimes[int](lambda number: number > TOP), []),
        (DeadlockFree[int, str](is_any, lambda number: number == TOP), None),
        (DeadlockFree[int, str](is_any, lambda number: False), ["three"] * 4),
        (DeadlockFree[int, str](lambda label: label == "stay", lambda number: number != 4), ["one", "three"]),
        (Terminating(is_forward), None),
        (Terminating(is_any), ["one", "one", "one", "one", "back"]),
        (AlwaysReachable[int](lambda number: number == TOP), None),
        (AlwaysReachable[int](lambda number: number == 3), ["three", "three"]),
    ],
)
def test_properties(graph: Graph[int, str], promised: Property[int, str], counterexample: list[str] | None) -> None:
    """A property that holds has no counterexample, and a violated one has one."""
    found = promised.counterexample(graph)
    assert found == counterexample
    assert violations(graph, {"it": promised}) == ({} if counterexample is None else {"it": counterexample})
