"""The model of services: what holds in every reachable state, and what a mistake breaks (SV-1 to SV-6)."""

from functools import cache
from itertools import permutations
from typing import NamedTuple

import pytest

from aioservicekit_model.explorer import explore, violations
from aioservicekit_model.service import ACTIONS
from aioservicekit_model.service.blocks import BLOCK
from aioservicekit_model.service.faults import FAULTS
from aioservicekit_model.service.machine import Action, Dependencies, Label, World
from aioservicekit_model.service.properties import bounded, graphs, promises, situations
from aioservicekit_model.service.restarts import RESTART

PAIR, DIAMOND = ((), (0,)), ((), (0,), (0,), (1, 2))

WITHOUT_A_BLOCK = tuple(action for action in ACTIONS if action not in BLOCK)
WITHOUT_RESTARTS = tuple(action for action in WITHOUT_A_BLOCK if action not in RESTART)

# Every graph of up to three services, up to renaming; the numbers are pinned, so that a change is noticed.
STATES: dict[Dependencies, int] = {
    ((),): 90,
    ((), ()): 3618,
    ((), (0,)): 2794,
    ((), (), ()): 142398,
    ((), (), (0,)): 102614,
    ((), (), (0, 1)): 124794,
    ((), (0,), (0,)): 140622,
    ((), (0,), (1,)): 78510,
    ((), (0,), (0, 1)): 108330,
}

# The same, in a block of `run_services`.
STATES_IN_A_BLOCK: dict[Dependencies, int] = {((),): 254, ((), ()): 8030, ((), (0,)): 6270}

# What each mistake breaks. It may break other properties too.
BREAKS = {
    "running because the hook has completed": "phases follow each other in their order (SV-1.2)",
    "stuck on a failed start": "STOPPED can be reached from everywhere (SV-1.3, SV-2.3, SV-4.4)",
    "a start that is tried for ever": "with nobody calling anything, what has begun ends (SV-2.3)",
    "work that is called after the stop": "work is not called after it was asked to end (SV-3.1, SV-3.4)",
    "no drain": "no hook and no work uses a dependency that is torn down (SV-4.2)",
    "a drain that waits for those who wait for it": "with nobody calling anything, what has begun goes on (SV-1.3, SV-4.2)",
    "stuck on a failed stop": "STOPPED can be reached from everywhere (SV-1.3, SV-2.3, SV-4.4)",
    "stop ignored while starting": "no stop is ignored (SV-4.1, SV-4.6)",
    "a start after the signal": "nothing starts in a shutdown (SV-6.2, SV-6.3)",
    "a start that comes before the block has ended": "nothing starts in a shutdown (SV-6.2, SV-6.3)",
    "a limit that spares stop hooks": "a shutdown whose time is over waits for nobody (SV-6.6)",
}


class Explored(NamedTuple):
    states: int
    taken: set[str]  # the actions that some step has taken
    broken: dict[str, list[Label]]


@cache
def explored(dependencies: Dependencies, actions: tuple[Action, ...]) -> Explored:
    world = World(dependencies)
    graph = explore(bounded(world, actions))
    broken = violations(graph, promises(world) | situations(world, actions))
    return Explored(len(graph.states), {label.action for label in graph.labels}, broken)


@pytest.mark.parametrize(
    "graph", [pytest.param(graph, marks=[pytest.mark.exhaustive] if len(graph) > 2 else []) for graph in STATES]
)
def test_every_property_holds(graph: Dependencies) -> None:
    """No state of up to three services breaks a promise, each situation comes about, and the number of states is pinned."""
    found = explored(graph, WITHOUT_A_BLOCK)
    assert found.broken == {}
    assert found.states == STATES[graph]


@pytest.mark.parametrize("graph", STATES_IN_A_BLOCK)
def test_every_property_holds_in_a_block(graph: Dependencies) -> None:
    """The same holds for up to two services in a block of `run_services` that is left, shut down, and short of time."""
    found = explored(graph, ACTIONS)
    assert found.broken == {}
    assert found.states == STATES_IN_A_BLOCK[graph]


@pytest.mark.exhaustive
def test_every_property_holds_in_a_diamond() -> None:
    """The same holds for four services in a diamond, without restarts."""
    found = explored(DIAMOND, WITHOUT_RESTARTS)
    assert found.broken == {}
    assert found.states == 360046


def test_every_graph_is_explored() -> None:
    """A graph that is left out differs from an explored one only in the names of its services."""
    assert set(STATES) <= {graph for size in (1, 2, 3) for graph in graphs(size)}
    assert {shape(graph) for graph in STATES} == {shape(graph) for size in (1, 2, 3) for graph in graphs(size)}
    assert len({shape(graph) for graph in STATES}) == len(STATES)


def shape(graph: Dependencies) -> Dependencies:
    """The canonical form of graphs that differ only in names: the least of all numberings of their services."""

    def renamed(order: tuple[int, ...]) -> Dependencies:
        return tuple(tuple(sorted(order[d] for d in graph[order.index(s)])) for s in range(len(graph)))

    return min(renamed(order) for order in permutations(range(len(graph))))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_breaks_a_property(name: str) -> None:
    """Each deliberate mistake breaks a promise of its rule, and the counterexample is short."""
    fault, broken_by_it = FAULTS[name], BREAKS[name]
    assert fault.rule in broken_by_it
    broken = explored(PAIR, fault.made_in(ACTIONS)).broken
    assert broken_by_it in broken
    assert len(broken[broken_by_it]) <= 8


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_one_action(name: str) -> None:
    """A mistake replaces an existing action, and drops only guards that the action has."""
    fault = FAULTS[name]
    changed = [
        (action, faulty) for action, faulty in zip(ACTIONS, fault.made_in(ACTIONS), strict=True) if action != faulty
    ]
    assert [action.name for action, _ in changed] == [fault.action]
    assert fault.without is None or fault.without in changed[0][0].guards


def test_every_property_can_fail() -> None:
    """Some mistake breaks each promise."""
    broken = {name for fault in FAULTS.values() for name in explored(PAIR, fault.made_in(ACTIONS)).broken}
    assert broken >= set(promises(World(PAIR)))


def test_every_situation_can_be_missed() -> None:
    """If nothing can be called, no situation comes about."""
    world = World(PAIR)
    graph = explore(bounded(world, ()))
    assert set(violations(graph, situations(world, ACTIONS))) == set(situations(world, ACTIONS))


def test_every_action_is_taken() -> None:
    """Every action of the tables can be taken."""
    assert explored(PAIR, ACTIONS).taken == {action.name for action in ACTIONS}
