"""Shorter histories: of a refused case, what need not be there for it to be refused."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from aioservicekit_model.channel.blame import blame

from ..running.case import Action, Case, replay
from ..target import Target

__all__ = ["UNEXPLAINED", "Failure", "prune", "refused_kind", "shrink"]

UNEXPLAINED = "?"  # in place of a rule, where no single rule explains a history


class Failure(NamedTuple):
    """A refused case, and the rules each of which explains it."""

    default_size: int
    actions: tuple[Action, ...]
    candidates: frozenset[str]
    operations: int


def prune(case: Case) -> Case:
    """Leave out actions as long as the target is refused at the same kind of event, so that few things can explain it."""
    kind = refused_kind(case)
    improved = True
    while improved:
        improved = False
        for fewer in _fewer(case.actions):
            again = replay(case.target, case.default_size, fewer)
            shorter = len(again.actions) < len(case.actions) and again.operations <= case.operations
            if shorter and refused_kind(again) == kind:
                case, improved = again, True
                break
    return case


def refused_kind(case: Case) -> tuple[object, ...] | None:
    """What a case was refused for, roughly: which kind of event, and what was wrong with it."""
    if case.refused is None:
        return None
    event = case.history[case.refused]
    call = case.call_of(event)
    return (
        event.what,
        call and call.kind,
        event.value if isinstance(event.value, str) else type(event.value),
        case.overdue,
    )


def shrink(target: Target, failure: Failure, rule: str) -> Case:
    """The shortest case that can be found by leaving out actions and deviations and that is refused for the same reasons."""
    best = replay(target, failure.default_size, failure.actions)

    def attempt(default_size: int, actions: Sequence[Action]) -> bool:
        nonlocal best
        case = replay(target, default_size, actions)
        if case.refused is None or not _shorter(case, best):
            return False
        candidates = blame(default_size, case.history)
        if not candidates <= failure.candidates or (rule != UNEXPLAINED and rule not in candidates):
            return False
        best = case
        return True

    improved = True
    while improved:
        improved = any(attempt(best.default_size, actions) for actions in _simpler(best.actions)) or any(
            attempt(size, best.actions) for size in (0, 1) if size != best.default_size
        )
    numbered = replay(target, best.default_size, _numbered(best.actions))
    return numbered if refused_kind(numbered) == refused_kind(best) else best


def _numbered(actions: Sequence[Action]) -> list[Action]:
    """The same actions, with operations numbered in the order of their calls."""
    numbers: dict[int, int] = {}
    for action in actions:
        if action.what != "cancel":
            numbers[action.op] = len(numbers) + 1
    return [action._replace(op=numbers[action.op]) for action in actions]


def _weight(case: Case) -> tuple[int, ...]:
    return (
        case.operations,
        len(case.actions),
        sum(action.after is not None for action in case.actions),
        sum((action.after or 0) + (action.size or 0) for action in case.actions),
        case.default_size,
    )


def _shorter(case: Case, than: Case) -> bool:
    return _weight(case) < _weight(than)


def _simpler(actions: list[Action]) -> Iterator[list[Action]]:
    """Ways to make a case simpler, the greatest steps first."""
    yield from _fewer(actions)
    for first, second in combinations(range(len(actions)), 2):
        yield [action for index, action in enumerate(actions) if index not in (first, second)]
    for index, action in enumerate(actions):
        simpler = [action._replace(after=None)] if action.after is not None else []
        simpler += [action._replace(after=fewer) for fewer in range(action.after or 0)]
        simpler += [
            action._replace(size=size) for size in (None, 0, 1) if action.what == "subscribe" and size != action.size
        ]
        simpler += [action._replace(what="read")] if action.what == "next" else []
        for one in simpler:
            yield [*actions[:index], one, *actions[index + 1 :]]


def _fewer(actions: list[Action]) -> Iterator[list[Action]]:
    """Ways to leave out a run of actions, the longest first."""
    length = (len(actions) + 1) // 2
    while length:
        for start in range(0, len(actions) - length + 1, max(1, length // 2)):
            yield actions[:start] + actions[start + length :]
        length //= 2
