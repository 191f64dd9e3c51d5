"""The machine with rules relaxed: its actions without the guards of these rules, plus the mistakes that break them.

With nothing relaxed it is the strict machine. Its states carry the part of the past that its mistakes look at.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from . import machine
from .history import Event
from .machine import ACTIONS, KINDS, Action, Guard, Obligation, Operation, State
from .mistakes import (
    ASKED_OF_THE_PAST,
    ENDINGS,
    MISTAKES,
    NEGLECTS,
    Condition,
    Effect,
    Mistake,
    always,
    born,
    turned_back,
)
from .past import Past, StateWithPast, called, ended, remember
from .wrong_effects import HAVING_DELIVERED, with_belated

__all__ = ["OBLIGATIONS_OF_THE_MACHINE", "RULES_OF_THE_MACHINE", "Relaxed", "relaxed", "rule_of"]


def rule_of(obligation: str) -> str:
    """The rule to which an obligation belongs: "CH-3.8" for "CH-3.8a"."""
    return obligation.rstrip("abcdefgh")


OF_THE_STATE = ("CH-1.1a", "CH-1.7")  # these two concern no operation

OBLIGATIONS_OF_THE_MACHINE = frozenset(OF_THE_STATE).union(
    *(action.guards for action in ACTIONS),
    (mistake.rule for mistake in MISTAKES),
    (ending.rule for ending in ENDINGS),
    (neglect.rule for neglect in NEGLECTS),
)
RULES_OF_THE_MACHINE = frozenset(map(rule_of, OBLIGATIONS_OF_THE_MACHINE))


class Row(NamedTuple):
    """An action without the guards of relaxed rules, or a mistake with the guards that it shares with its action."""

    source: Action | Mistake
    kinds: tuple[str, ...]
    about: Guard
    when: Condition
    guards: tuple[Guard, ...]
    effect: Effect

    def leads_to(self, now: StateWithPast, op: Operation) -> Iterable[State | StateWithPast]:
        state, past = now
        if self.about(state, op) and self.when(state, op, past) and all(guard(state, op) for guard in self.guards):
            return self.effect(state, op, past)
        return ()


def acting(action: Action) -> Row:
    def effect(state: State, op: Operation, past: Past) -> Iterable[State]:
        return (action.effect(state, op),)

    when = ASKED_OF_THE_PAST.get(action.name, always)
    return Row(action, action.kinds, action.when, when, tuple(action.guards.values()), effect)


def mistaken(mistake: Mistake) -> Row:
    """It keeps the guards of the replaced action, except those of its own rule and those that it drops."""
    action, free = mistake.instead_of, {rule_of(mistake.rule), *mistake.without}
    guards = tuple(guard for rule, guard in action.guards.items() if rule_of(rule) not in free)
    return Row(mistake, action.kinds, action.when, mistake.when, guards, mistake.effect)


class Relaxed:
    """A machine with these rules, or obligations of rules, switched off."""

    def __init__(self, rules: frozenset[str]) -> None:
        def is_relaxed(obligation: str) -> bool:
            return obligation in rules or rule_of(obligation) in rules

        self.actions = tuple(
            action._replace(guards={rule: guard for rule, guard in action.guards.items() if not is_relaxed(rule)})
            for action in ACTIONS
        )
        self.mistakes = tuple(mistake for mistake in MISTAKES if is_relaxed(mistake.rule))
        self.endings = tuple(ending for ending in ENDINGS if is_relaxed(ending.rule))
        self.neglects = tuple(neglect for neglect in NEGLECTS if is_relaxed(neglect.rule))
        self._any_phase_at_first = is_relaxed("CH-1.1a")
        self._turns_back = is_relaxed("CH-1.7")
        self._remembers = {
            *(name for mistake in self.mistakes for name in mistake.remembers),
            *(name for ending in self.endings for name in ending.remembers),
            *(name for neglect in self.neglects for name in neglect.remembers),
        }
        rows = (*map(acting, self.actions), *map(mistaken, self.mistakes))
        self._rows = {kind: [row for row in rows if kind in row.kinds] for kind in KINDS}

    def initial(self, default_size: int) -> Iterator[StateWithPast]:
        states = born(default_size) if self._any_phase_at_first else machine.initial(default_size)
        return (StateWithPast(state) for state in states)

    def steps(self, now: StateWithPast) -> Iterator[tuple[Action | Mistake, Operation, StateWithPast]]:
        """The possible actions and mistakes, each with its operation and the next state."""
        for op in now.state.operations:
            if op.outcome is None or op.cancel_requested:
                yield from self._steps_of(now, op)

    def _steps_of(
        self, now: StateWithPast, op: Operation
    ) -> Iterator[tuple[Action | Mistake, Operation, StateWithPast]]:
        for row in self._rows[op.kind]:
            for after in row.leads_to(now, op):
                state, past = after if isinstance(after, StateWithPast) else (after, now.past)
                yield row.source, op, StateWithPast(state, remember(self._remembers, past, now.state, op, state))

    def see(self, now: StateWithPast, event: Event) -> Iterator[StateWithPast]:
        """The states that may follow an event: those of the strict machine, and those of mistakes."""
        state, past = now
        match event.what:
            case "call":
                after_call, op = state.called(event)
                called_now = StateWithPast(after_call, called(past, state, op) if "late" in self._remembers else past)
                if op.kind == "close":
                    yield from (after for _, _, after in self._steps_of(called_now, op))
                else:
                    yield called_now
            case "return" | "raise":
                op = state.operation(event.op)
                wrong = any(each.fits(now, op, event) for each in self.endings)
                if wrong or machine.ends(op, event):
                    after = StateWithPast(state.ended(op), ended(past, op))
                    yield after
                    if after.past.closing and op.kind == "close" and op.cancel_requested:  # it was broken off half-way
                        yield after._replace(past=after.past._replace(closing=()))
            case "observe":
                for by_now in with_belated(now):
                    yield from self._observed(by_now, event)
            case "rest":
                error_due = any(op.outcome == HAVING_DELIVERED for op in state.operations)
                still_to_come = error_due or past.arriving or past.closing
                if not still_to_come and all(self.is_neglected(now, op, due) for op, due in machine.overdue(state)):
                    yield now
            case _:
                yield from (StateWithPast(after, past) for after in machine.see(state, event))

    def _observed(self, now: StateWithPast, event: Event) -> Iterator[StateWithPast]:
        state, past = now
        if event.value == state.phase:
            yield StateWithPast(state, past._replace(seen=state.phase)) if self._turns_back else now
        if self._turns_back:
            for turned in turned_back(state, past, event.value):
                yield StateWithPast(turned, past._replace(seen=turned.phase))

    def is_neglected(self, now: StateWithPast, op: Operation, obligation: Obligation) -> bool:
        """Whether an obligation need not be met."""
        return any(each.obligation == obligation.rule and each.when(now.state, op, now.past) for each in self.neglects)


@cache
def relaxed(*rules: str) -> Relaxed:
    """The machine with these rules, or obligations of rules, switched off."""
    return Relaxed(frozenset(rules))
