"""The machine for live histories: calls of several threads overlap, so what stands in line is a partial order.

Every action and every guard is the strict machine's. What differs is what an observer of real threads knows:

- Of two sends that overlap, nobody knows which came first. One is *certainly ahead* of another if it was certainly in line when the
  other was called: it had been seen to suspend, or everything had come to rest since its call. A guard is asked of the state
  with those operations alone that count as being ahead.
- A close takes effect somewhere between its call and its return, but before it is seen to suspend (CH-5.1). So does an observation.
- The loop of an abandoned operation is about to go. The operation never ends, need not be completed, and holds nobody up. If it
  is a read that has taken a message, the message comes back (CH-6.3), which may bring the buffer above its size.

If each call settles at once, the order is total, and this machine admits what the strict one admits.
"""

from collections.abc import Iterator
from typing import NamedTuple

from . import machine
from .history import READS, Event
from .machine import RUN_OUT, TAKE, Action, Operation, Outcome, State

__all__ = ["BEGINNING", "OBSERVE", "Lines", "Live", "initial", "may", "overdue", "see", "see_live", "step", "steps"]


class Lines(NamedTuple):
    """What is certain of the operations under way. The history alone tells it, whatever happens unseen.

    Attributes:
        under_way: those that have been called, and have neither ended nor been abandoned.
        in_line: those that are certainly in line.
        ahead: pairs of which the first is certainly ahead of the second.
        abandoned: those whose loop is about to go, or has gone.
        gone: those whose loop has certainly gone: they were abandoned before a rest.
    """

    under_way: frozenset[int] = frozenset()
    in_line: frozenset[int] = frozenset()
    ahead: frozenset[tuple[int, int]] = frozenset()
    abandoned: frozenset[int] = frozenset()
    gone: frozenset[int] = frozenset()

    def after(self, event: Event) -> "Lines":
        """What is certain once an event has been seen."""
        op = event.op
        match event.what:
            case "call":
                ahead = self.ahead.union((other, op) for other in self.in_line)
                return self._replace(under_way=self.under_way | {op}, ahead=ahead)
            case "settle":
                return self._replace(in_line=self.in_line | {op})
            case "return" | "raise":
                return self._without(op)
            case "abandon":
                return self._without(op)._replace(abandoned=self.abandoned | {op})
            case "rest":
                return self._replace(in_line=self.under_way, gone=self.abandoned)
            case _:
                return self

    def _without(self, op: int) -> "Lines":
        return self._replace(
            under_way=self.under_way - {op},
            in_line=self.in_line - {op},
            ahead=frozenset(pair for pair in self.ahead if op not in pair),
        )


BEGINNING = Lines()


class Live(NamedTuple):
    """A state of this machine: one of the strict machine, with what is certain of its lines."""

    state: State
    lines: Lines = BEGINNING


def observe(state: State, op: Operation) -> State:
    """The observation finds the channel in its present phase (CH-1)."""
    return state.settled(op, "return", state.phase)


OBSERVE = Action("observe", ("observe",), machine.waits, {}, observe)
OF_KIND = {**machine.OF_KIND, "observe": (OBSERVE,)}


def certainly_ahead(state: State, lines: Lines, op: Operation) -> State:
    """The state as a guard sees it that nobody but those certainly ahead may stop."""
    first = (other for other in state.operations if (other.number, op.number) in lines.ahead)
    return state._replace(operations=(*first, op))


def possibly_ahead(state: State, lines: Lines, op: Operation) -> State:
    """The state as a guard sees it that counts everybody who may be ahead."""
    first = (
        other
        for other in state.operations
        if other.number != op.number
        and other.number not in lines.abandoned
        and (op.number, other.number) not in lines.ahead
    )
    return state._replace(operations=(*first, op))


def holds_a_message(op: Operation) -> bool:
    return op.kind in READS and op.outcome is not None and op.outcome.what == "return"


def awaits_a_message_back(state: State, lost: frozenset[int], op: Operation) -> bool:
    """Whether one of the lost reads of its subscriber holds a message, which comes before any other (CH-6.3)."""
    return any(other.number in lost and other.on == op.on and holds_a_message(other) for other in state.operations)


def may(action: Action, state: State, lines: Lines, op: Operation) -> bool:
    """Whether an operation may take an action, in some order of the lines that the history leaves open."""
    if action in (TAKE, RUN_OUT) and lines.gone and awaits_a_message_back(state, lines.gone, op):
        return False
    seen = possibly_ahead if action is RUN_OUT else certainly_ahead  # each is the one that permits more
    return action.when(state, op) and machine.may(action, seen(state, lines, op), op)


def step(action: Action, state: State, lines: Lines, op: Operation) -> State:
    """The state after an action; of an abandoned operation nothing is kept but the message that has to come back."""
    after = action.effect(state, op)
    if op.number in lines.abandoned and not holds_a_message(after.operation(op.number)):
        return after.ended(op)
    return after


def put_back(state: State, op: Operation) -> State:
    """The message of a read whose loop has gone is the oldest again, and may bring the buffer above its size (CH-6.3)."""
    subscriber = state.subscriber(op.on)
    message = (op.outcome or Outcome("return")).value
    return state.with_subscriber(subscriber._replace(buffer=(message, *subscriber.buffer))).ended(op)


PUT_BACK = Action("put back", READS, lambda state, op: holds_a_message(op), {}, put_back)


def initial(default_size: int) -> Iterator[Live]:
    for state in machine.initial(default_size):
        yield Live(state)


def steps(now: Live) -> Iterator[tuple[Action, Operation, Live]]:
    """The internal actions that may be taken, each with its operation and the state that follows."""
    state, lines = now
    for op in state.operations:
        if op.number in lines.abandoned and holds_a_message(op):
            yield PUT_BACK, op, Live(put_back(state, op), lines)
        elif op.outcome is None or op.cancel_requested:
            for action in OF_KIND[op.kind]:
                if may(action, state, lines, op):
                    yield action, op, Live(step(action, state, lines, op), lines)


def see(now: Live, event: Event) -> Iterator[Live]:
    """The states that may follow when an event is seen; none where the rules forbid it."""
    for state in see_live(now.state, now.lines, event):
        yield Live(state, now.lines.after(event))


def see_live(state: State, lines: Lines, event: Event) -> Iterator[State]:
    """As `see`, of the state alone."""
    match event.what:
        case "call":
            yield state.called(event)[0]
        case "settle":
            op = state.operation(event.op)
            if op.kind != "close" or op.outcome:  # CH-5.1: at once
                yield state
        case "return" | "raise":
            op = state.operation(event.op)
            if op.outcome and machine.ends(op, event):
                yield state.ended(op)
        case "abandon":
            op = state.operation(event.op)._replace(cancel_requested=True)
            yield state.with_operation(op) if op.outcome is None or holds_a_message(op) else state.ended(op)
        case "rest":
            if not overdue(state, lines):
                yield without_reads_of(state, lines.abandoned)
        case _:
            yield from machine.see(state, event)


def without_reads_of(state: State, abandoned: frozenset[int]) -> State:
    """At rest the loops of the abandoned have gone: such a read will not take a message any more."""
    dead = [op for op in state.operations if op.number in abandoned and op.kind in READS and op.outcome is None]
    return state._replace(operations=tuple(op for op in state.operations if op not in dead)) if dead else state


def overdue(state: State, lines: Lines) -> list[tuple[Operation, str]]:
    """What keeps the state from being at rest: operations, each with the rule that has them go on."""
    found = []
    for op in state.operations:
        if op.number not in lines.abandoned:
            seen = certainly_ahead(state, lines, op)
            found += [(op, each.rule) for each in machine.OBLIGATIONS if op.kind in each.kinds and each.unmet(seen, op)]
            if op.kind == "observe":
                found.append((op, "CH-1.7"))
            if op.kind in READS and awaits_a_message_back(state, lines.abandoned, op):
                found.append((op, "CH-6.3"))
    return found
