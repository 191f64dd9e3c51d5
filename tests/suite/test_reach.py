"""The generated cases reach what matters, and are made fast enough."""

import gc
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from aioservicekit_conformance.case import REACHED, Case
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


def test_operations_are_done_at_half_the_speed_of_empty_steps(target: Target) -> None:
    """An operation, with all that it makes the target and the checker do, costs no more than two steps that do nothing."""

    class Empty(RuleBasedStateMachine):
        steps = 0

        @rule()
        def nothing(self) -> None:
            Empty.steps += 1

        @rule()
        def nothing_else(self) -> None:
            Empty.steps += 1

    operations = 0

    def done(case: Case) -> None:
        nonlocal operations
        operations += sum(event.what in ("call", "cancel") for event in case.history)

    ours = machine(target, done)
    options = settings(
        max_examples=150,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def a_step(made: type[RuleBasedStateMachine], count: Callable[[], int]) -> float:
        gc.collect()
        gc.disable()  # as good as off while the suite explores
        before, started = count(), time.process_time()
        run_state_machine_as_test(made, settings=options)
        gc.enable()
        return (time.process_time() - started) / (count() - before)

    a_step(ours, lambda: operations)  # the checker remembers what it has met
    # Whatever else the machine does makes some pairs worse and none better.
    pairs = ((a_step(ours, lambda: operations), a_step(Empty, lambda: Empty.steps)) for _ in range(10))
    assert any(mine <= 2 * empty for mine, empty in pairs), "in ten interleaved measurements"
