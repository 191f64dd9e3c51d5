"""The generated cases reach what matters, and are made fast enough."""

import statistics
import time

import pytest
from aioservicekit_conformance.case import REACHED
from aioservicekit_conformance.judge import STEPS, Exploration, explore
from aioservicekit_conformance.machine import machine
from aioservicekit_conformance.target import Target, load
from aioservicekit_model.channel import RULES_OF_THE_TABLE
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test


@pytest.fixture(scope="module")
def target() -> Target:
    return load("aioservicekit")


@pytest.fixture(scope="module")
def exploration(target: Target) -> Exploration:
    return explore(target, 1000, 0, lambda: None)


@pytest.mark.parametrize("situation", REACHED)
def test_the_cases_reach(exploration: Exploration, situation: str) -> None:
    """At least one case in two hundred meets each of the situations in which channels go wrong."""
    assert exploration.reached[situation] >= exploration.cases / 200


@pytest.mark.parametrize("rule", sorted(RULES_OF_THE_TABLE))
def test_the_cases_could_break(exploration: Exploration, rule: str) -> None:
    """Each rule forbids something that is otherwise possible in at least one sampled case in two hundred."""
    assert exploration.staked[rule] >= exploration.sampled / 200


def test_the_reference_is_never_refused(exploration: Exploration) -> None:
    """The reference implementation is explained by the model in every case, and uses nothing but its loop."""
    assert exploration.refused == 0
    assert not exploration.escapes


def test_cases_are_made_at_half_the_speed_of_empty_ones(target: Target) -> None:
    """The machine does its steps at no less than half the speed of a state machine whose rules do nothing."""

    class Empty(RuleBasedStateMachine):
        @rule()
        def nothing(self) -> None:
            """Do nothing."""

        @rule()
        def nothing_else(self) -> None:
            """Do nothing else."""

    ours = machine(target, lambda case: None)
    options = settings(
        max_examples=100,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def seconds(made: type[RuleBasedStateMachine]) -> float:
        started = time.perf_counter()
        run_state_machine_as_test(made, settings=options)
        return time.perf_counter() - started

    seconds(ours)
    pairs = [(seconds(ours), seconds(Empty)) for _ in range(5)]
    assert statistics.median(mine / empty for mine, empty in pairs) <= 2
