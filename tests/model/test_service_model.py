"""The model of services: what holds in every state that can be reached, and what a fault breaks (SV-1 to SV-6)."""

from itertools import permutations

import pytest

from aioservicekit_model.explorer import ENDS, IN_TIME, REACHABLE, Explored, explore, graphs, violations
from aioservicekit_model.service.faults import FAULTS
from aioservicekit_model.service.machine import BLOCK, CALLS, UNSEEN, USERS_PART, Step
from aioservicekit_model.service.properties import ALWAYS, NEVER, SOMETIMES, SOMETIMES_IN_A_BLOCK
from aioservicekit_model.service.states import STARTING, STOPPING, Dependencies, Service, State, World

PAIR, DIAMOND = ((), (0,)), ((), (0,), (0,), (1, 2))

# Every graph of up to three services, but for those that differ in their names alone; pinned, so that a change is noticed.
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

BREAKS = {
    "stop ignored while starting": "a stop is ignored",
    "no drain": "no hook and no work uses a dependency that is torn down",
    "stuck on a failed start": REACHABLE,
    "stuck on a failed stop": REACHABLE,
    "a drain that waits for those who wait for it": ENDS,
    "a start after the signal": "a service starts during a shutdown",
    "a start that comes before the block has ended": "a service starts during a shutdown",
    "work that is called after the stop": "a call of work begins after the stop was asked for",
    "a limit that spares stop hooks": IN_TIME,
}

OF_A_BLOCK = {"a start that comes before the block has ended", "a limit that spares stop hooks"}

# The same, in a block of `run_services`.
STATES_IN_A_BLOCK: dict[Dependencies, int] = {((),): 254, ((), ()): 8030, ((), (0,)): 6270}


def reaches(explored: Explored, situation: str) -> bool:
    happens = (SOMETIMES | SOMETIMES_IN_A_BLOCK)[situation]
    return any(happens(explored.world, state) for state in explored.steps)


@pytest.mark.parametrize(
    "graph", [pytest.param(graph, marks=[pytest.mark.exhaustive] if len(graph) > 2 else []) for graph in STATES]
)
def test_every_property_holds(graph: Dependencies) -> None:
    """No state of up to three services breaks a property, and as many states as ever are reached."""
    explored = explore(World(graph))
    assert list(violations(explored)) == []
    assert len(explored.steps) == STATES[graph]
    if graph == PAIR:
        assert all(reaches(explored, situation) for situation in SOMETIMES)


@pytest.mark.parametrize("graph", STATES_IN_A_BLOCK)
def test_every_property_holds_in_a_block(graph: Dependencies) -> None:
    """Nor does one of up to two services in a block of `run_services`, which is left, shut down, and short of time."""
    explored = explore(World(graph), block=True)
    assert list(violations(explored)) == []
    assert len(explored.steps) == STATES_IN_A_BLOCK[graph]
    assert all(reaches(explored, situation) for situation in SOMETIMES_IN_A_BLOCK)


@pytest.mark.exhaustive
def test_every_property_holds_in_a_diamond() -> None:
    """Nor does one of four services, two of which depend on one and have one that depends on them; restarts left out."""
    explored = explore(World(DIAMOND), tuple(row for row in CALLS if row.name != "restart"))
    assert list(violations(explored)) == []
    assert len(explored.steps) == 360046


def test_every_graph_is_explored() -> None:
    """A graph that is left out differs from one that is explored in the names of its services alone."""
    assert set(STATES) <= {graph for size in (1, 2, 3) for graph in graphs(size)}
    assert {shape(graph) for graph in STATES} == {shape(graph) for size in (1, 2, 3) for graph in graphs(size)}
    assert len({shape(graph) for graph in STATES}) == len(STATES)


def shape(graph: Dependencies) -> Dependencies:
    """The same for graphs that differ in names alone: the least of all ways to number their services."""

    def renamed(order: tuple[int, ...]) -> Dependencies:
        return tuple(tuple(sorted(order[d] for d in graph[order.index(s)])) for s in range(len(graph)))

    return min(renamed(order) for order in permutations(range(len(graph))))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_a_property(fault: str) -> None:
    """Each deliberate fault breaks the property that it is about, and the history that shows it is short."""
    found = dict(violations(explore(World(PAIR), block=fault in OF_A_BLOCK, fault=FAULTS[fault])))
    assert BREAKS[fault] in found
    assert len(found[BREAKS[fault]]) <= 8


def test_services_that_never_come_to_an_end_are_noticed() -> None:
    """States that lead to each other with nobody calling anything break the property that all that has begun ends."""
    first, second = State((Service(STARTING),)), State((Service(STOPPING),))
    explored = Explored(
        World(((),)),
        {first: None, second: (first, Step("on", 0, second))},
        {first: (Step("on", 0, second),), second: (Step("back", 0, first),)},
    )
    assert (ENDS, []) in list(violations(explored))


def test_every_property_can_fail() -> None:
    """Some fault breaks each property but the one that only a wrong table would break."""
    broken = {
        name for fault in FAULTS.values() for name, _ in violations(explore(World(((),)), block=True, fault=fault))
    }
    broken |= {BREAKS[fault] for fault in FAULTS}  # as the test above has seen
    assert {*ALWAYS, *NEVER, ENDS, REACHABLE, IN_TIME} - broken == {"a service leaves the order of the phases"}


def test_every_row_is_taken() -> None:
    """No row of the tables is there in vain."""
    explored = explore(World(PAIR), block=True)
    taken = {step.name for following in explored.steps.values() for step in following}
    assert taken == {row.name for row in CALLS + USERS_PART + UNSEEN + BLOCK}
