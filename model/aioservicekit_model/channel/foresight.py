"""Judging live histories fast: the whole history is known, so each operation's end is known when it is called.

The plain way (`checker` with `live`) closes the set of states under all unseen actions at every event: with several threads these
are too many. This search decides an operation only as it is recorded to end, and as late as it can:

- Nothing is decided before the last rest that comes before its end: it would have been overdue there. So a rest is a mere filter.
- An action that takes nothing away from anybody is taken as early as it can be (`_is_harmless`).
- The others (joins, commits, closings) are taken just in time: when some operation is seen to end that has not been decided.
- A state is dropped as soon as the rest of the history contradicts it (`_is_hopeless`): a commit that comes in another order than
  some subscriber reads, or that misses a subscriber who reads its message.

Both ways refuse a history at the same event.
"""

from collections.abc import Iterable, Iterator, Sequence

from . import live, machine
from .checker import TooManyStates
from .history import CANCELLED, READS, Event
from .live import BEGINNING, OBSERVE, PUT_BACK, Lines, holds_a_message
from .machine import CLOSING, COMMIT, END, FAIL, JOIN, REFUSE, TAKE, Action, Message, Operation, State

__all__ = ["MOST_STATES", "admits", "first_refused"]

MOST_STATES = 40_000  # of 1,500 runs of the reference, one needed more than 20,000: that takes ten seconds

ENDS_BY = {"return": (JOIN, COMMIT, TAKE, CLOSING, OBSERVE), "raise": (REFUSE, FAIL, END)}
GIVES_UP = tuple(action for action in machine.ACTIONS if action.when is machine.asked_to_cancel)
NEVER_ENDS = (JOIN, COMMIT, TAKE, CLOSING)  # whatever else such an operation may do makes no difference to others


def first_refused(default_size: int, history: Sequence[Event], most: int = MOST_STATES) -> int | None:
    """The index of the first event that no state explains, or None if the whole history is explained.

    Raises:
        TooManyStates: there came to be more than `most`.
    """
    if admits(default_size, history, most):
        return None
    admitted, refused = 0, len(history)  # events: what begins like a refused history is refused
    while refused - admitted > 1:
        middle = (admitted + refused) // 2
        if admits(default_size, history[:middle], most):
            admitted = middle
        else:
            refused = middle
    return admitted


def admits(default_size: int, history: Sequence[Event], most: int = MOST_STATES) -> bool:
    """Whether the machine for live histories explains the whole history.

    Raises:
        TooManyStates: there came to be more than `most`.
    """
    return _Search(default_size, history, most).admits()


class _Known:
    """What the whole history tells of each operation.

    Attributes:
        actions: those by which it can come to its recorded end.
        value: what it returns.
        left: of each operation that is abandoned, the index of that event.
        earliest: the index of the event after which it may be decided.
        called: the index of its call.
        sends: by message, its send.
        readers: by subscriber, which read returns each message.
        all_end: the subscribers all of whose reads end.
        before: of each message, those that some subscriber has certainly taken before it.
    """

    def __init__(self, history: Sequence[Event]) -> None:
        ends = {event.op: (at, event) for at, event in enumerate(history) if event.what in ("return", "raise")}
        self.left = {event.op: at for at, event in enumerate(history) if event.what == "abandon"}
        rests = [at for at, event in enumerate(history) if event.what == "rest"]
        self.calls = {event.op: event for event in history if event.what == "call"}
        self.actions: dict[int, tuple[Action, ...]] = {}
        self.value: dict[int, Message] = {}
        self.earliest: dict[int, int] = {}
        self.called: dict[int, int] = {event.op: at for at, event in enumerate(history) if event.what == "call"}
        self.readers: dict[str, dict[Message, int]] = {}
        for op, call in self.calls.items():
            at, end = ends.get(op, (self.left.get(op, len(history)), None))
            self.earliest[op] = max((rest for rest in rests if rest < at), default=-1)
            self.actions[op] = _actions(call, end)
            if end and end.what == "return":
                self.value[op] = end.value
                if call.kind in READS:
                    self.readers.setdefault(call.on, {})[end.value] = op
        endless = {call.on for op, call in self.calls.items() if call.kind in READS and op not in ends}
        self.all_end = self.readers.keys() - endless
        self.before = self._orders(history)
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


def _actions(call: Event, end: Event | None) -> tuple[Action, ...]:
    if end is None:
        return NEVER_ENDS
    if call.kind == "close":  # CH-5.1: one that is cancelled has had its effect
        return (CLOSING,)
    return GIVES_UP if end.value == CANCELLED and end.what == "raise" else ENDS_BY[end.what]


class _Search:
    def __init__(self, default_size: int, history: Sequence[Event], most: int) -> None:
        self._history = history
        self._known = _Known(history)
        self._most = most
        self._states = set(machine.initial(default_size))
        self._lines: Lines = BEGINNING
        self._at = 0

    def admits(self) -> bool:
        for at, event in enumerate(self._history):
            self._at = at
            if event.what in ("return", "raise") or (event.what == "settle" and self._kind(event.op) == "close"):
                self._states = self._decided(self._states, event.op)
            elif event.what in ("rest", "observe"):
                self._states = self._decided(self._states, None)
            after = (now for state in self._states for now in live.see_live(state, self._lines, event))
            self._lines = self._lines.after(event)
            self._states = {self._eager(state) for state in after}
            if not self._states:
                return False
        return True

    def _kind(self, op: int) -> str:
        return self._known.calls[op].kind

    def _decided(self, states: Iterable[State], op: int | None) -> set[State]:
        """The states in which the operation has been decided, with no step taken after that; for None, all that can follow."""
        found: set[State] = set()
        seen: set[State] = set()
        fringe = list(states)
        while fringe:
            state = fringe.pop()
            if state in seen:
                continue
            seen.add(state)
            if len(seen) > self._most:
                raise TooManyStates
            if op is None:
                found.add(state)
            elif state.operation(op).outcome:
                found.add(state)
                continue
            fringe += self._steps(state, op)
        return found

    def _steps(self, state: State, ending: int | None) -> Iterator[State]:
        for op in state.operations:
            for action, after in self._possible(state, op):
                # Until it ends, an operation that gives up may count as being ahead, and stops nobody.
                if (action not in GIVES_UP or op.number == ending) and not self._is_hopeless(action, state, op, after):
                    yield self._eager(after)

    def _possible(self, state: State, op: Operation) -> Iterator[tuple[Action, State]]:
        number = op.number
        if self._known.earliest[number] >= self._at and number not in self._lines.abandoned:
            return
        if op.outcome:
            if number in self._lines.abandoned and holds_a_message(op):
                yield PUT_BACK, live.put_back(state, op)
            return
        for action in self._known.actions[number]:
            possible = op.kind in action.kinds and live.may(action, state, self._lines, op)
            if possible and self._comes_true(action, state, op):
                yield action, live.step(action, state, self._lines, op)

    def _comes_true(self, action: Action, state: State, op: Operation) -> bool:
        """Whether the operation returns what it would get."""
        if op.number not in self._known.value or action not in (TAKE, OBSERVE):
            return True
        got = state.phase if action is OBSERVE else state.subscriber(op.on).buffer[0]
        return got == self._known.value[op.number]

    def _eager(self, state: State) -> State:
        """The state after all harmless steps."""
        moved = True
        while moved:
            moved = False
            for op in state.operations:
                if op.outcome is None and self._lasts(op):
                    for action, after in self._possible(state, op):
                        if self._is_harmless(action, state, op):
                            state, moved = after, True
                            break
        return state

    def _is_harmless(self, action: Action, state: State, op: Operation) -> bool:
        """Whether to take an action at once takes nothing away from anybody."""
        if action is END:
            return not state.subscriber(op.on).buffer
        if action is TAKE:  # a read whose loop goes may have had it before: then that one is not ahead of others
            return not any(
                other.number in self._known.left and other.on == op.on and other.outcome is None
                for other in state.operations
            )
        return action in (FAIL, REFUSE, OBSERVE)

    def _lasts(self, op: Operation) -> bool:
        """Whether its end is recorded: only then it is certain that it has to be decided."""
        return self._known.actions[op.number] is not NEVER_ENDS

    def _is_hopeless(self, action: Action, state: State, op: Operation, after: State) -> bool:
        known = self._known
        if action is not COMMIT:
            return False
        if any(not self._is_committed(state, message) for message in known.before.get(op.value, ())):
            return True
        connected = {subscriber.name for subscriber in state.connected}
        for name, readers in known.readers.items():
            if op.value in readers and name not in connected:
                return True  # it reads what it will never get
            misses_some = not all(self._is_committed(after, message) for message in readers)
            if op.value not in readers and name in connected and name in known.all_end and misses_some:
                return True  # it never gets past this message, and reads another one
        return False

    def _is_committed(self, state: State, message: Message) -> bool:
        number = self._known.sends.get(message)
        if number is None or self._known.called[number] > self._at:
            return False
        op = next((op for op in state.operations if op.number == number), None)
        return op is None or op.outcome is not None
