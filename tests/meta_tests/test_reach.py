"""The generated cases reach what matters."""

import pytest

from aioservicekit_conformance.exploring.explorer import Exploration, explore
from aioservicekit_conformance.running.case import REACHED
from aioservicekit_conformance.target import Target, load
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE


@pytest.fixture(scope="module")
def target() -> Target:
    return load("aioservicekit")


@pytest.fixture(scope="module")
def exploration(target: Target) -> Exploration:
    return explore(target, 1000, 0)


@pytest.mark.parametrize("situation", REACHED)
def test_the_cases_reach(exploration: Exploration, situation: str) -> None:
    """At least one case in two hundred meets each of the situations in which channels go wrong."""
    assert exploration.reached[situation] >= exploration.cases / 200


@pytest.mark.parametrize("rule", sorted(RULES_OF_THE_MACHINE - {"CH-2.6"}))  # the reference's joins can't be cancelled
def test_the_cases_could_break(exploration: Exploration, rule: str) -> None:
    """In at least one sampled case in two hundred, each rule forbids something that would otherwise be possible."""
    assert exploration.exercised[rule] >= exploration.sampled / 200


def test_the_reference_is_never_refused(exploration: Exploration) -> None:
    """The model explains the reference implementation in every case, and the reference uses nothing but its loop."""
    assert exploration.failures.refused == 0
    assert not exploration.escapes
