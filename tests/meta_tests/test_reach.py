"""The generated cases reach what matters, and are made fast enough."""

import gc
import time

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from aioservicekit_conformance.case import REACHED
from aioservicekit_conformance.judge import STEPS, Exploration, explore
from aioservicekit_conformance.machine import machine
from aioservicekit_conformance.target import Target, load
from aioservicekit_model.channel import RULES_OF_THE_TABLE


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
    """A case, with all that it makes the target and the checker do, costs no more than two of as many steps that do nothing."""

    class Empty(RuleBasedStateMachine):
        @rule()
        def nothing(self) -> None:
            pass

        @rule()
        def nothing_else(self) -> None:
            pass

    ours = machine(target, lambda case: None)
    options = settings(
        max_examples=150,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def seconds(made: type[RuleBasedStateMachine]) -> float:
        gc.collect()
        gc.disable()  # as good as off while the suite explores
        started = time.process_time()
        run_state_machine_as_test(made, settings=options)
        gc.enable()
        return time.process_time() - started

    seconds(ours)  # the checker remembers what it has met
    # Whatever else the machine does makes some pairs worse and none better.
    pairs = ((seconds(ours), seconds(Empty)) for _ in range(10))
    assert any(mine <= 2 * empty for mine, empty in pairs), "in ten interleaved measurements"
