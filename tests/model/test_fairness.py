"""What is left in the end, on machines that are small enough to know."""

from collections.abc import Callable, Iterable

import pytest

from aioservicekit_model.explorer import Machine, explore
from aioservicekit_model.fairness import Leaving

Steps = dict[int, tuple[tuple[str, int], ...]]

RING: Steps = {0: (("tick", 1),), 1: (("tock", 0),)}
LEFT_FROM_BOTH: Steps = {0: (("tick", 1), ("leave", 2)), 1: (("tock", 0), ("leave", 2))}
LEFT_FROM_ONE: Steps = {0: (("tick", 1), ("leave", 2)), 1: (("tock", 0),)}
LEFT_OR_NOT: Steps = {0: (("leave", 2), ("stay", 0))}
BEHIND_A_RING: Steps = LEFT_FROM_BOTH | {2: (("turn", 3),), 3: (("turn", 2),)}


def counterexample(steps: Steps, kind: Callable[[str], str | None], states: range = range(2)) -> list[str] | None:
    def of(number: int) -> Iterable[tuple[str, int]]:
        return steps.get(number, ())

    return Leaving[int, str](lambda state: state in states, kind).counterexample(explore(Machine((0,), of)))


def all_fair(label: str) -> str | None:
    return label


def none_fair(label: str) -> str | None:
    return None


@pytest.mark.parametrize("steps", [LEFT_FROM_BOTH, LEFT_OR_NOT])
def test_what_stays_possible_is_taken(steps: Steps) -> None:
    """Who can always leave leaves in the end, though there is a way around; but only if leaving is not put off for ever."""
    assert counterexample(steps, all_fair) is None
    assert counterexample(steps, none_fair) == []


@pytest.mark.parametrize("steps", [RING, LEFT_FROM_ONE])
def test_what_does_not_stay_possible_need_not_be_taken(steps: Steps) -> None:
    """Who can leave only now and then may go around for ever."""
    assert counterexample(steps, all_fair) == []


def test_standing_still_is_staying() -> None:
    """Where nothing is possible, or nothing that must be taken, a run stays; the counterexample leads there."""
    assert counterexample({0: (("tick", 1),)}, all_fair) == ["tick"]
    assert counterexample({0: (("tick", 1),), 1: (("leave", 2),)}, all_fair) is None


def test_every_component_is_looked_at() -> None:
    """A ring that is left leads to one that is not."""
    assert counterexample(BEHIND_A_RING, all_fair, range(2)) is None
    assert counterexample(BEHIND_A_RING, all_fair, range(4)) == ["leave"]
    assert counterexample({0: (("go", 1),), 1: (("turn", 2),), 2: (("turn", 1),)}, all_fair, range(3)) == ["go"]
