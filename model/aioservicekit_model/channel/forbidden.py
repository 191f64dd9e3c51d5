"""What no step of a channel does, each with the rules that forbid it.

A step is given as the channel before it, its label, and the channel after it.
"""

from collections.abc import Callable
from functools import partial

from .history import CANCELLED, CLOSED, EXHAUSTED, JOINS, READS
from .machine import CLOSED_PHASE, INITIATION, OPEN, PHASES, Operation, State
from .world import CALL, ENDS, EVENTS, Label

__all__ = ["FORBIDDEN"]


def _settles(label: Label, what: str, value: object = ...) -> bool:
    """Whether an action settles an operation's outcome so."""
    return (
        label.step not in EVENTS
        and label.ending is not None
        and label.ending[0] == what
        and value in (..., label.ending[1])
    )


def names(state: State) -> set[str]:
    return {*(name for name, _ in state.publishers), *(subscriber.name for subscriber in state.subscribers)}


def connected(state: State) -> set[str]:
    return {*(name for name, open in state.publishers if open), *(s.name for s in state.connected)}


def without(state: State, name: str) -> State:
    return state._replace(
        publishers=tuple(each for each in state.publishers if each[0] != name),
        subscribers=tuple(each for each in state.subscribers if each.name != name),
    )


def moves_back(before: State, label: Label, after: State) -> bool:
    return PHASES.index(after.phase) < PHASES.index(before.phase)


def closes_for_no_reason(before: State, label: Label, after: State) -> bool:
    if before.phase != OPEN or after.phase != CLOSED_PHASE:
        return False
    return (label.kind, label.on) != ("close", "channel") and without(before, label.on).complete


def stays_though_deserted(before: State, label: Label, after: State) -> bool:
    return before.phase == OPEN and after.phase != CLOSED_PHASE and not after.complete


def closes_before_it_opens(before: State, label: Label, after: State) -> bool:
    return (before.phase, after.phase) == (INITIATION, CLOSED_PHASE) and (label.kind, label.on) != ("close", "channel")


def joins_what_is_closed(before: State, label: Label, after: State) -> bool:
    return before.phase == CLOSED_PHASE and names(after) != names(before)


def is_refused_by_one_not_closed(before: State, label: Label, after: State) -> bool:
    return label.kind in JOINS and _settles(label, "raise", CLOSED) and before.phase != CLOSED_PHASE


def fails_having_joined(before: State, label: Label, after: State) -> bool:
    return label.kind in JOINS and _settles(label, "raise") and label.on in names(after)


def is_not_closed_at_the_call(before: State, label: Label, after: State) -> bool:
    if label.kind != "close" or label.step != CALL:
        return False
    is_half_closed = (
        bool(connected(after)) if after.phase == CLOSED_PHASE else after.phase == OPEN and not after.complete
    )
    stays = after.phase != CLOSED_PHASE if label.on == "channel" else label.on in connected(after)
    return label.ending != ("return", None) or stays or is_half_closed


def changes_what_is_closed(before: State, label: Label, after: State) -> bool:
    if label.kind != "close" or label.step != CALL:
        return False
    closed = before.phase == CLOSED_PHASE if label.on == "channel" else label.on not in connected(before)
    return closed and (after.phase, connected(after)) != (before.phase, connected(before))


def ahead(state: State, label: Label, kinds: tuple[str, ...]) -> list[Operation]:
    """The operations that wait in the same line and were called before."""
    line = [op for op in state.operations if op.kind in kinds and (op.outcome is None or op.number == label.number)]
    before = line[: next(place for place, op in enumerate(line) if op.number == label.number)]
    return [op for op in before if op.kind not in READS or op.on == label.on]


def overtakes(before: State, label: Label, after: State) -> bool:
    if label.kind != "send" or not _settles(label, "return"):
        return False
    others = ahead(before, label, ("send",))
    return any(not op.cancel_requested and (op.on, True) in before.publishers for op in others)


def overtakes_a_read(before: State, label: Label, after: State) -> bool:
    if label.kind not in READS or not _settles(label, "return"):
        return False
    return any(not op.cancel_requested for op in ahead(before, label, READS))


def commits_though_closed(before: State, label: Label, after: State) -> bool:
    return label.kind == "send" and _settles(label, "return") and (label.on, True) not in before.publishers


def commits_without_room(before: State, label: Label, after: State) -> bool:
    full = any(0 < s.size <= len(s.buffer) for s in before.connected)
    return label.kind == "send" and _settles(label, "return") and full


def fails_though_connected(before: State, label: Label, after: State) -> bool:
    return label.kind == "send" and _settles(label, "raise", CLOSED) and (label.on, True) in before.publishers


def read_fails_early(before: State, label: Label, after: State) -> bool:
    if label.kind not in READS or not (_settles(label, "raise", CLOSED) or _settles(label, "raise", EXHAUSTED)):
        return False
    subscriber = before.subscriber(label.on)
    return subscriber.connected or len(ahead(before, label, READS)) < len(subscriber.buffer)


def iteration_raises(before: State, label: Label, after: State) -> bool:
    return label.kind == "next" and label.ending is not None and label.ending[1] == CLOSED


def success_is_undone(before: State, label: Label, after: State) -> bool:
    if label.step in EVENTS:
        return False
    outcome = before.operation(label.number).outcome
    return outcome is not None and outcome.what == "return" and label.ending != outcome


def gives_up_unasked(before: State, label: Label, after: State) -> bool:
    return _settles(label, "raise", CANCELLED) and not before.operation(label.number).cancel_requested


def ends_otherwise(kinds: tuple[str, ...], before: State, label: Label, after: State) -> bool:
    if label.step != ENDS or label.kind not in kinds:
        return False
    op = before.operation(label.number)
    is_cancelled_closing = op.kind == "close" and op.cancel_requested and label.ending == ("raise", CANCELLED)
    return label.ending != op.outcome and not is_cancelled_closing


FORBIDDEN: dict[str, Callable[[State, Label, State], bool]] = {
    "the state only moves forward (CH-1.7)": moves_back,
    "an open channel closes only when one side has left, or when it is told to (CH-1.3b)": closes_for_no_reason,
    "an open channel closes as soon as one side has left (CH-1.3a)": stays_though_deserted,
    "before it opens, endpoints come and go (CH-1.5)": closes_before_it_opens,
    "nothing joins a closed channel (CH-2.1)": joins_what_is_closed,
    "only a closed channel refuses a join (CH-2.1)": is_refused_by_one_not_closed,
    "a join that fails has not joined (CH-2.6)": fails_having_joined,
    "closing takes its whole effect at the call (CH-1.4, CH-5.1a, CH-5.3)": is_not_closed_at_the_call,
    "closing again changes nothing (CH-5.1c)": changes_what_is_closed,
    "sends commit in the order of their calls (CH-3.5)": overtakes,
    "sends commit when nobody is full (CH-3.2, CH-3.8c)": commits_without_room,
    "a send on a closed publisher does not commit (CH-3.7a, CH-5.2a)": commits_though_closed,
    "a send fails only if its publisher is closed (CH-3.3a, CH-3.7a, CH-5.2b)": fails_though_connected,
    "reads are served in the order of their calls (CH-4.4b)": overtakes_a_read,
    "a read fails only if its subscriber is closed and has no message for it"
    " (CH-4.1b, CH-4.2b, CH-4.7a)": read_fails_early,
    "an iteration ends with no error (CH-4.7b)": iteration_raises,
    "what has succeeded is not undone by a cancellation (CH-2.6, CH-3.8a, CH-4.5a, CH-4.5b)": success_is_undone,
    "only who was asked to cancel gives up (CH-3.8a, CH-4.5a)": gives_up_unasked,
    "a join ends as it was settled (CH-2.1)": partial(ends_otherwise, JOINS),
    "a send ends as it was settled (CH-3.2, CH-3.3a, CH-3.4, CH-3.7a, CH-3.7b, CH-3.8a, CH-3.8b, CH-5.2a)": partial(
        ends_otherwise, ("send",)
    ),
    "a read ends as it was settled (CH-4.1b, CH-4.2b, CH-4.3, CH-4.5a, CH-4.5c, CH-4.6, CH-4.7b)": partial(
        ends_otherwise, READS
    ),
    "a closing ends as it was settled (CH-5.1c)": partial(ends_otherwise, ("close",)),
}
