"""What a whole live history tells of each of its operations, before the search for an explanation begins."""

from collections.abc import Iterator, Sequence

from . import machine
from .history import CANCELLED, CLOSED, EXHAUSTED, READS, Event
from .live import OBSERVE
from .machine import CLOSING, COMMIT, END, FAIL, JOIN, REFUSE, TAKE, Action, Message

__all__ = ["GIVES_UP", "Known"]

ENDS_BY = {"return": (JOIN, COMMIT, TAKE, CLOSING, OBSERVE), "raise": (REFUSE, FAIL, END)}
GIVES_UP = tuple(action for action in machine.ACTIONS if action.when is machine.asked_to_cancel)
MAYBE_HARMLESS = (END, TAKE, FAIL, REFUSE, OBSERVE)
NEVER_ENDS = (JOIN, COMMIT, TAKE, CLOSING)  # whatever else such an operation may do makes no difference to others


class Known:
    """What the whole history tells of each operation.

    Attributes:
        actions: those by which it can come to its recorded end.
        eager: those of them that are to be taken as early as they can, if they are harmless then.
        value: what it returns.
        left: of each operation that is abandoned, the index of that event.
        earliest: the index of the event after which it may be decided.
        called: the index of its call.
        sends: by message, its send.
        readers: by subscriber, which read returns each message.
        all_end: the subscribers all of whose reads end.
        before: of each message, those that some subscriber has certainly taken before it.
        drained: the subscribers of whom every message that they ever get is read.
    """

    def __init__(self, history: Sequence[Event]) -> None:
        ends = {event.op: (at, event) for at, event in enumerate(history) if event.what in ("return", "raise")}
        self.left = {event.op: at for at, event in enumerate(history) if event.what == "abandon"}
        rests = [at for at, event in enumerate(history) if event.what == "rest"]
        self.calls = {event.op: event for event in history if event.what == "call"}
        self.actions: dict[int, tuple[Action, ...]] = {}
        self.eager: dict[int, tuple[Action, ...]] = {}
        self.value: dict[int, Message] = {}
        self.earliest: dict[int, int] = {}
        self.called: dict[int, int] = {event.op: at for at, event in enumerate(history) if event.what == "call"}
        self.readers: dict[str, dict[Message, int]] = {}
        for op, call in self.calls.items():
            at, end = ends.get(op, (self.left.get(op, len(history)), None))
            self.earliest[op] = max((rest for rest in rests if rest < at), default=-1)
            self.actions[op] = _actions(call, end)
            # Only an operation whose end is recorded certainly has to be decided.
            self.eager[op] = tuple(each for each in self.actions[op] if end and each in MAYBE_HARMLESS)
            if end and end.what == "return":
                self.value[op] = end.value
                if call.kind in READS:
                    self.readers.setdefault(call.on, {})[end.value] = op
        endless = {call.on for op, call in self.calls.items() if call.kind in READS and op not in ends}
        self.all_end = self.readers.keys() - endless
        self.before = self._orders(history)
        self.drained = set(self._emptied(history))
        self.sends = {call.value: op for op, call in self.calls.items() if call.kind == "send"}

    def _orders(self, history: Sequence[Event]) -> dict[Message, set[Message]]:
        """Of each message, those read by reads of the same subscriber that ended before its read was called."""
        before: dict[Message, set[Message]] = {}
        latest: dict[str, set[Message]] = {}  # what is not implied by others
        at_call: dict[int, set[Message]] = {}
        for event in history:
            call = self.calls.get(event.op)
            if call is None or call.kind not in READS or call.on not in self.all_end:
                continue
            seen = latest.setdefault(call.on, set())
            if event.what == "call":
                at_call[event.op] = set(seen)
            elif event.what == "return":
                before.setdefault(event.value, set()).update(at_call[event.op])
                latest[call.on] = (seen - at_call[event.op]) | {event.value}
        return before

    def _emptied(self, history: Sequence[Event]) -> Iterator[str]:
        """The subscribers of whom a read finds that nothing is left, while no other read of theirs can have it."""
        under_way: set[int] = set()
        leaving: set[int] = set()  # their loops may still be there
        alone: set[int] = set()
        for event in history:
            call = self.calls.get(event.op)
            if event.what == "rest":
                leaving = set()
            if call is None or call.kind not in READS:
                continue
            if event.what == "call":
                others = {each for each in under_way | leaving if self.calls[each].on == call.on}
                alone -= others
                alone |= set() if others else {event.op}
                under_way.add(event.op)
            elif event.what in ("return", "raise", "abandon"):
                under_way.remove(event.op)
                leaving |= {event.op} if event.what == "abandon" else set()
                if event.op in alone and event.what == "raise" and event.value in (CLOSED, EXHAUSTED):
                    yield call.on


def _actions(call: Event, end: Event | None) -> tuple[Action, ...]:
    if end is None:
        return NEVER_ENDS
    if call.kind == "close":  # CH-5.1: one that is cancelled has had its effect
        return (CLOSING,)
    return GIVES_UP if end.value == CANCELLED and end.what == "raise" else ENDS_BY[end.what]
