"""The search through the states of more services than the explorer keeps: the same states, and the same that breaks."""

from array import array

import pytest

from aioservicekit_model.explorer import explore, violations
from aioservicekit_model.search import Steps, search
from aioservicekit_model.service.faults import FAULTS
from aioservicekit_model.service.states import Dependencies, World

PAIR, TWO = ((), (0,)), ((), ())


@pytest.mark.parametrize("graph", [((),), PAIR, TWO, pytest.param(((), (0,), (0,)), marks=pytest.mark.exhaustive)])
def test_as_many_states_are_found(graph: Dependencies) -> None:
    """The search looks at the states that the explorer keeps."""
    assert search(World(graph)) == (len(explore(World(graph)).steps), ())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_the_same_properties(fault: str) -> None:
    """What the explorer shows a history for the search names."""
    found = search(World(((),)), fault=FAULTS[fault])
    assert set(found.broken) == {name for name, _ in violations(explore(World(((),)), fault=FAULTS[fault]))}


def test_a_drain_that_never_ends_is_found() -> None:
    """States in which nothing goes on are noticed among several services too."""
    fault = "a drain that waits for those who wait for it"
    found = search(World(PAIR), fault=FAULTS[fault])
    assert set(found.broken) == {name for name, _ in violations(explore(World(PAIR), fault=FAULTS[fault]))}
    assert found.broken


def test_a_cycle_and_what_leads_nowhere_are_found() -> None:
    """States that lead to each other with nobody calling anything, and those from which the goal can't be reached."""
    steps = Steps(array("I", [0, 1, 2]), array("I", [1, 2, 1]), bytearray([1, 1, 1]), 3)
    assert steps.have_a_cycle()
    assert not steps.lead_from_all_to([0])
    assert steps.lead_from_all_to([2])
    steps = Steps(array("I", [0, 1, 2]), array("I", [1, 2, 1]), bytearray([1, 1, 0]), 3)
    assert not steps.have_a_cycle()
