"""What a whole live history tells of each of its operations, before the search for an explanation begins."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from . import machine
from .history import CANCELLED, CLOSED, EXHAUSTED, READS, Event
from .live import BEGINNING, OBSERVE
from .machine import CLOSING, COMMIT, FAIL, JOIN, REFUSE, RUN_OUT, TAKE, Action, Message

__all__ = ["GIVES_UP", "Known"]

ENDS_BY = {"return": (JOIN, COMMIT, TAKE, CLOSING, OBSERVE), "raise": (REFUSE, FAIL, RUN_OUT)}
GIVES_UP = tuple(action for action in machine.ACTIONS if action.when is machine.asked_to_cancel)
MAYBE_HARMLESS = (RUN_OUT, TAKE, FAIL, REFUSE, OBSERVE)
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
        in_turn: by subscriber, the messages that it reads no earlier than those that were committed before them.
        before: of each message, those that were certainly committed before it, since some subscriber reads them before it.
        drained: the subscribers of whom every message that they ever get is read.
    """

    def __init__(self, history: Sequence[Event]) -> None:
        ends = {event.op: (at, event) for at, event in enumerate(history) if event.what in ("return", "raise")}
        self.left = {event.op: at for at, event in enumerate(history) if event.what == "abandon"}
        self._rests = [at for at, event in enumerate(history) if event.what == "rest"]
        self.calls = {event.op: event for event in history if event.what == "call"}
        self.actions: dict[int, tuple[Action, ...]] = {}
        self.eager: dict[int, tuple[Action, ...]] = {}
        self.value: dict[int, Message] = {}
        self.earliest: dict[int, int] = {}
        self.called: dict[int, int] = {event.op: at for at, event in enumerate(history) if event.what == "call"}
        self.readers: dict[str, dict[Message, int]] = {}
        for op, call in self.calls.items():
            at, end = ends.get(op, (self.left.get(op, len(history)), None))
            self.earliest[op] = self._last_rest(at)
            self.actions[op] = _actions(call, end)
            # Only an operation whose end is recorded certainly has to be decided.
            self.eager[op] = tuple(each for each in self.actions[op] if end and each in MAYBE_HARMLESS)
            if end and end.what == "return":
                self.value[op] = end.value
                if call.kind in READS:
                    self.readers.setdefault(call.on, {})[end.value] = op
        self.sends = {call.value: op for op, call in self.calls.items() if call.kind == "send"}
        endless = [op for op, call in self.calls.items() if call.kind in READS and op not in ends]
        self.in_turn = {name: set(self._in_turn(name, ends, endless)) for name in self.readers}
        self.before = self._orders(history)
        self.drained = set(self._emptied(history))

    def _last_rest(self, at: int) -> int:
        return max((rest for rest in self._rests if rest < at), default=-1)

    def _in_turn(self, name: str, ends: Mapping[int, tuple[int, Event]], endless: Iterable[int]) -> Iterator[Message]:
        """The messages from which no endless read may keep an older one while they are read, or may have put it behind them.

        Such a read takes nothing before the last rest that comes before its loop goes, and gives it back before others take
        anything after the next rest. Two of them may give back what they have taken in another order.
        """
        endless = [op for op in endless if self.calls[op].on == name]
        taking = Counter(self.earliest[op] for op in endless)
        for message, read in self.readers[name].items():
            end, _ = ends[read]
            since = self._last_rest(self.called[self.sends[message]]) if message in self.sends else -1
            kept = any(self.called[op] < end and self.earliest[op] == self.earliest[read] for op in endless)
            behind = any(count > 1 and since <= rest <= self.earliest[read] for rest, count in taking.items())
            if not kept and not behind:
                yield message

    def _orders(self, history: Sequence[Event]) -> dict[Message, set[Message]]:
        """Of each message, those taken before it: their reads had ended, or were in line, when its read was called."""
        before: dict[Message, set[Message]] = {}
        latest: dict[str, set[Message]] = {}  # what is not implied by others
        at_call: dict[int, set[Message]] = {}
        cancelled = {event.op for event in history if event.what == "cancel"}  # they hold nobody up
        lines = BEGINNING
        for event in history:
            call = self.calls.get(event.op)
            if call and call.kind in READS:
                seen = latest.setdefault(call.on, set())
                if event.what == "call":
                    ahead = lines.in_line - cancelled
                    taken = {value for value, read in self.readers.get(call.on, {}).items() if read in ahead}
                    at_call[event.op] = seen | (taken & self.in_turn.get(call.on, set()))
                elif event.what == "return":
                    before.setdefault(event.value, set()).update(at_call[event.op])
                    if event.value in self.in_turn[call.on]:
                        latest[call.on] = (seen - at_call[event.op]) | {event.value}
            lines = lines.after(event)
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
