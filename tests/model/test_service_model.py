"""The model of services: what holds in every reachable state, and what a mistake breaks (SV-1 to SV-6)."""

from functools import cache
from itertools import permutations
from typing import NamedTuple

import pytest

from aioservicekit_model.explorer import explore, violations
from aioservicekit_model.service import ACTIONS, BLOCKS, POLICIES
from aioservicekit_model.service.faults import FAULTS
from aioservicekit_model.service.machine import INTERNAL, Action, Label
from aioservicekit_model.service.policies import STARTING_AGAIN
from aioservicekit_model.service.properties import bounded, graphs, promises, situations
from aioservicekit_model.service.restarts import RESTART, RESTARTING
from aioservicekit_model.service.state import (
    FAILED,
    FAILS_FAST,
    HAS_FAILED,
    READY,
    RUNNING,
    STARTING,
    Dependencies,
    Restart,
    Service,
    State,
    World,
)

PAIR, BOTH, DIAMOND = ((), (0,)), ((), (), (0, 1)), ((), (0,), (0,), (1, 2))

PLAIN = tuple(action for action in ACTIONS if action not in BLOCKS + POLICIES)
WITHOUT_RESTARTS = tuple(action for action in PLAIN if action not in RESTART)
IN_A_BLOCK = tuple(action for action in ACTIONS if action not in POLICIES)
WITH_POLICIES = tuple(action for action in ACTIONS if action not in BLOCKS)

# The first service has failed and runs again; the second was stopped meanwhile; the third depends on both, and is to follow.
STOPPED_MEANWHILE = State((Service(RUNNING, READY), Service(), Service()), restart=Restart(0, (2,), "follow", times=1))
BY_THEMSELVES = INTERNAL + RESTARTING + STARTING_AGAIN

# In a block that fails fast, the first service has failed, and its new start too, which the second waits for.
FAILED_TWICE = State(
    (Service(STARTING, FAILED, restarts=1), Service(STARTING, callers=1)),
    restart=Restart(0, (), "start", times=1),
    block=FAILS_FAST,
)

# Every graph of up to three services, up to renaming; the numbers are pinned, so that a change is noticed.
STATES: dict[Dependencies, int] = {
    ((),): 90,
    ((), ()): 3618,
    ((), (0,)): 2590,
    ((), (), ()): 142398,
    ((), (), (0,)): 96494,
    ((), (), (0, 1)): 114186,
    ((), (0,), (0,)): 117270,
    ((), (0,), (1,)): 100026,
    ((), (0,), (0, 1)): 103194,
}

# The same, in a block of `run_services`, with services that retry or start again after failures, and both.
SINGLE, TWO = ((),), ((), ())
STATES_WITH_MORE: dict[tuple[Dependencies, tuple[Action, ...]], int] = {
    (SINGLE, IN_A_BLOCK): 507,
    (TWO, IN_A_BLOCK): 18687,
    (PAIR, IN_A_BLOCK): 13463,
    (SINGLE, WITH_POLICIES): 310,
    (TWO, WITH_POLICIES): 32506,
    (PAIR, WITH_POLICIES): 22394,
    (SINGLE, ACTIONS): 1715,
    (TWO, ACTIONS): 167231,
    (PAIR, ACTIONS): 116533,
}

# What each mistake breaks. It may break other properties too.
BREAKS = {
    "running because the hook has completed": "phases follow each other in their order (SV-1.2)",
    "stuck on a failed start": "STOPPED can be reached from everywhere (SV-1.3, SV-2.3, SV-4.4)",
    "a start that is tried for ever": "with nobody calling anything, what has begun ends (SV-2.3, SV-3.2)",
    "work that is called after the stop": "work is not called after it was asked to end (SV-3.1, SV-3.4)",
    "no drain": "no hook and no work uses a dependency that is torn down (SV-4.2)",
    "a drain that waits for those who wait for it": "with nobody calling anything, what has begun goes on (SV-1.3, SV-4.2)",
    "stuck on a failed stop": "STOPPED can be reached from everywhere (SV-1.3, SV-2.3, SV-4.4)",
    "stop ignored while starting": "no stop is ignored (SV-4.1, SV-4.6)",
    "a start after the signal": "nothing starts in a shutdown (SV-6.2, SV-6.3)",
    "a start that comes before the block has ended": "nothing starts in a shutdown (SV-6.2, SV-6.3)",
    "work that is called again after it has failed for good": "work that has failed for good has stopped its service (SV-3.2)",
    "a restart that a stop does not end": "what is stopped meanwhile is not started again (SV-3.2)",
    "a restart that starts a stopped dependency": "what is stopped meanwhile is not started again (SV-3.2)",
    "a dependent that starts a stopped dependency": "what is stopped meanwhile is not started again (SV-3.2)",
    "restarts that nobody counts": "with nobody calling anything, what has begun ends (SV-2.3, SV-3.2)",
    "a second failure that forgets the first": "a failure loses nobody whom an earlier one took down (SV-3.2)",
    "a handler that is replaced and not called": "a signal reaches the services, and the program's own handler (SV-6.5)",
    "a signal that work keeps to itself": "a signal reaches the services, and the program's own handler (SV-6.5)",
    "an ignored signal that is taken over": "a signal that is none of the services' changes nothing (SV-6.5)",
    "a signal that stops a block without signals": "a signal that is none of the services' changes nothing (SV-6.5)",
    "a failure that stops nobody else": "in a block that fails fast, a failure is one of the block (SV-6.6)",
    "a stop before the restart that fails the block": "only a failure for good fails the block (SV-3.2, SV-6.6)",
    "a failure that is noticed after the stop hook": "a block that has failed waits for nobody to stop the others (SV-6.6)",
    "a limit that spares stop hooks": "a shutdown whose time is over waits for nobody (SV-6.6)",
}


class Explored(NamedTuple):
    states: int
    taken: set[str]  # the actions that some step has taken
    broken: dict[str, list[Label]]


@cache
def explored(dependencies: Dependencies, actions: tuple[Action, ...], begins: State | None = None) -> Explored:
    world = World(dependencies)
    machine = bounded(world, actions)
    graph = explore(machine._replace(first=(begins,)) if begins else machine)
    broken = violations(graph, promises(world) | situations(world, actions))
    return Explored(len(graph.states), {label.action for label in graph.labels}, broken)


@pytest.mark.parametrize(
    "graph", [pytest.param(graph, marks=[pytest.mark.exhaustive] if len(graph) > 2 else []) for graph in STATES]
)
def test_every_property_holds(graph: Dependencies) -> None:
    """No state of up to three services breaks a promise, each situation comes about, and the number of states is pinned."""
    found = explored(graph, PLAIN)
    assert found.broken == {}
    assert found.states == STATES[graph]


def is_small(graph: Dependencies, actions: tuple[Action, ...]) -> bool:
    return len(graph) < 2 or (graph is PAIR and actions is not ACTIONS)


@pytest.mark.parametrize(
    ("graph", "actions"),
    [pytest.param(*each, marks=[] if is_small(*each) else [pytest.mark.exhaustive]) for each in STATES_WITH_MORE],
)
def test_every_property_holds_with_blocks_and_policies(graph: Dependencies, actions: tuple[Action, ...]) -> None:
    """The same holds for up to two services in blocks that are left, shut down, and short of time, and after failures."""
    found = explored(graph, actions)
    assert found.broken == {}
    assert found.states == STATES_WITH_MORE[graph, actions]


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


def explored_with(name: str) -> Explored:
    """A pair of services with a mistake, and only the actions that it takes to break its rule."""
    fault = FAULTS[name]
    if name == "a dependent that starts a stopped dependency":
        return explored(BOTH, fault.made_in(BY_THEMSELVES), STOPPED_MEANWHILE)
    if name == "a stop before the restart that fails the block":
        return explored(SINGLE, fault.made_in(ACTIONS))
    actions = next(
        actions
        for actions in (PLAIN, WITH_POLICIES, IN_A_BLOCK)
        if fault.action in {action.name for action in actions} and name not in NEEDS_MORE.get(actions, ())
    )
    if actions is not PLAIN:
        actions = tuple(action for action in actions if action not in RESTART)
    return explored(PAIR, fault.made_in(actions))


NEEDS_MORE = {
    PLAIN: (
        "a start that comes before the block has ended",
        "a restart that a stop does not end",
        "a restart that starts a stopped dependency",
        "a signal that stops a block without signals",
        "a failure that stops nobody else",
    ),
    WITH_POLICIES: (
        "a start that comes before the block has ended",
        "a signal that stops a block without signals",
        "a failure that stops nobody else",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_breaks_a_property(name: str) -> None:
    """Each deliberate mistake breaks a promise of its rule, and the counterexample is short."""
    fault, broken_by_it = FAULTS[name], BREAKS[name]
    assert fault.rule in broken_by_it
    broken = explored_with(name).broken
    assert broken_by_it in broken
    assert len(broken[broken_by_it]) <= 16


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_one_action(name: str) -> None:
    """A mistake replaces an existing action, and drops only guards that the action has."""
    fault = FAULTS[name]
    changed = [
        (action, faulty) for action, faulty in zip(ACTIONS, fault.made_in(ACTIONS), strict=True) if action != faulty
    ]
    assert [action.name for action, _ in changed] == [fault.action]
    assert fault.without is None or fault.without in changed[0][0].guards


def test_a_dependent_of_a_stopped_service_does_not_follow() -> None:
    """A restart leaves it out, and so keeps the promise that the fault above breaks."""
    found = explored(BOTH, BY_THEMSELVES, STOPPED_MEANWHILE)
    assert "the restart leaves it out" in found.taken
    assert BREAKS["a dependent that starts a stopped dependency"] not in found.broken


@pytest.mark.parametrize("waits", [True, False])
def test_a_start_that_is_tried_again_fails_those_that_wait_for_it(waits: bool) -> None:
    """In a block that fails fast, their failure is one for good, and so one of the block; without them there is none."""
    begins = FAILED_TWICE if waits else FAILED_TWICE.but(1, Service())
    world = World(PAIR)
    graph = explore(bounded(world, BY_THEMSELVES)._replace(first=(begins,)))
    assert any(state.block == HAS_FAILED for state in graph.states) == waits
    assert BREAKS["a stop before the restart that fails the block"] not in violations(graph, promises(world))


def test_every_property_can_fail() -> None:
    """Some mistake breaks each promise: the one that `BREAKS` names for it, or one that breaks two."""
    broken = {*BREAKS.values(), *explored_with("stuck on a failed start").broken}
    assert broken >= set(promises(World(PAIR)))


def test_every_situation_can_be_missed() -> None:
    """If nothing can be called, no situation comes about."""
    world = World(PAIR)
    graph = explore(bounded(world, ()))
    assert set(violations(graph, situations(world, ACTIONS))) == set(situations(world, ACTIONS))


def test_every_action_is_taken() -> None:
    """Every action of the tables can be taken."""
    taken = explored(PAIR, IN_A_BLOCK).taken | explored(PAIR, WITH_POLICIES).taken
    taken |= explored(BOTH, BY_THEMSELVES, STOPPED_MEANWHILE).taken
    assert taken == {action.name for action in ACTIONS}
