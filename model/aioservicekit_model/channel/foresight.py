"""Judging live histories fast: the whole history is known, so each operation's end is known when it is called.

The plain way (`checker` with `live`) closes the set of states under all unseen actions at every event: with several threads these
are too many. This search decides an operation only as it is recorded to end, and as late as it can:

- Nothing is decided before the last rest that comes before its end: it would have been overdue there. So a rest is a mere filter.
- An action that takes nothing away from anybody is taken as early as it can be (`_is_harmless`).
- The others (joins, commits, closings) are taken just in time: when some operation is seen to end that has not been decided.
- A state is dropped as soon as the rest of the history contradicts it (`_is_hopeless`): a commit that comes in another order than
  some subscriber reads, that misses a subscriber who reads its message, or that reaches one who reads all it gets, but not this.
- A read whose loop is about to go gives back what it takes. So it takes only what another read then overtakes, what comes back in
  another order, or to make room for a commit (`_overtakes`); and of several such reads, the one that was called first takes.
- Messages that no read returns are interchangeable.

Both ways refuse a history at the same event.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from . import live, machine
from .checker import TooManyStates
from .history import READS, Event
from .known import GIVES_UP, Known
from .live import BEGINNING, OBSERVE, PUT_BACK, Lines, holds_a_message
from .machine import COMMIT, JOIN, RUN_OUT, TAKE, Action, Message, Operation, State

__all__ = ["MOST_STATES", "admits", "first_refused"]

MOST_STATES = 40_000  # before each event
UNREAD = -1  # stands for each message that no read returns
FEWER = 20  # times fewer, where the rest of the history does not help: to know the first event is not worth minutes


def first_refused(default_size: int, history: Sequence[Event], most: int = MOST_STATES) -> int | None:
    """The index of the first event that no state explains, or None if the whole history is explained.

    What follows an event helps to judge it. If there come to be too many states without that, the index is one of a later event.

    Raises:
        TooManyStates: for the whole history, there came to be more than `most`.
    """
    if admits(default_size, history, most):
        return None
    admitted, refused = 0, len(history)  # events: what begins like a refused history is refused
    while refused - admitted > 1:
        middle = (admitted + refused) // 2
        with suppress(TooManyStates):
            if not admits(default_size, history[:middle], most // FEWER):
                refused = middle
                continue
        admitted = middle
    return admitted


def admits(default_size: int, history: Sequence[Event], most: int = MOST_STATES) -> bool:
    """Whether the machine for live histories explains the whole history.

    Raises:
        TooManyStates: there came to be more than `most`.
    """
    return _Search(default_size, history, most).admits()


def in_any_order_of_joins(state: State) -> State:
    """The same state, whoever joined first: nothing depends on it."""
    return state._replace(publishers=tuple(sorted(state.publishers)), subscribers=tuple(sorted(state.subscribers)))


class _Search:
    def __init__(self, default_size: int, history: Sequence[Event], most: int) -> None:
        self._known = Known(history)
        read = set[Message]().union(*self._known.readers.values())
        self._history = [
            event._replace(value=UNREAD) if event.kind == "send" and event.value not in read else event
            for event in history
        ]
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
            for action, after in self._possible(state, op, self._known.actions[op.number]):
                if action is TAKE and op.number in self._known.left:
                    yield from self._overtakes(state, op, after)
                    if ending is None and state.subscriber(op.on).size:
                        yield self._eager(after)  # the room that it makes may serve after the rest
                # Until it ends, an operation that gives up may count as being ahead, and stops nobody.
                elif action not in GIVES_UP or op.number == ending:
                    yield from self._followed(action, state, op, after)

    def _followed(self, action: Action, state: State, op: Operation, after: State) -> Iterator[State]:
        """The state after an action and all harmless steps, unless the rest of the history contradicts it."""
        if not self._is_hopeless(action, state, op, after):
            yield self._eager(in_any_order_of_joins(after) if action is JOIN else after)

    def _overtakes(self, state: State, lost: Operation, taken: State) -> Iterator[State]:
        """What follows if a read takes a message that it will give back: another read comes first, or there is room."""
        room = state.subscriber(lost.on).full
        left = [op for op in taken.operations if op.on == lost.on and op.number in self._known.left]
        if sum(map(holds_a_message, left)) > 1:
            yield self._eager(taken)  # both come back in another order
        for op in taken.operations:
            for action, after in self._possible(taken, op, self._known.actions[op.number]):
                if action is TAKE and op.number in self._known.left:
                    yield from self._overtakes(taken, op, after)
                elif (action in (TAKE, RUN_OUT) and op.on == lost.on) or (action is COMMIT and room):
                    yield from self._followed(action, taken, op, after)

    def _possible(self, state: State, op: Operation, actions: tuple[Action, ...]) -> Iterator[tuple[Action, State]]:
        number = op.number
        if self._known.earliest[number] >= self._at and number not in self._lines.abandoned:
            return
        if op.outcome:
            if number in self._lines.abandoned and holds_a_message(op):
                yield PUT_BACK, live.put_back(state, op)
            return
        for action in actions:
            possible = op.kind in action.kinds and live.may(action, state, self._lines, op)
            if possible and self._comes_true(action, state, op) and not self._is_second(action, state, op):
                yield action, live.step(action, state, self._lines, op)

    def _is_second(self, action: Action, state: State, op: Operation) -> bool:
        """Whether a read called earlier may take as well, and that makes no difference: the loops of both are about to go."""
        lost = self._lines.abandoned
        reads = (each for each in state.operations if each.kind in READS and each.on == op.on and each.outcome is None)
        return (
            action is TAKE
            and op.number in lost
            and op.number != next(each.number for each in reads if each.number in lost)
        )

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
                if op.outcome is None:
                    for action, after in self._possible(state, op, self._known.eager[op.number]):
                        if self._is_harmless(action, state, op):
                            state, moved = after, True
                            break
        return state

    def _is_harmless(self, action: Action, state: State, op: Operation) -> bool:
        """Whether to take an action at once takes nothing away from anybody."""
        if action is RUN_OUT:
            return not state.subscriber(op.on).buffer
        if action is TAKE:  # a read whose loop goes may have had it before: then that one is not ahead of others
            return not any(
                other.number in self._known.left and other.on == op.on and other.outcome is None
                for other in state.operations
            )
        return True

    def _is_hopeless(self, action: Action, state: State, op: Operation, after: State) -> bool:
        known = self._known
        if action is not COMMIT:
            return False
        if any(not self._is_committed(state, message) for message in known.before.get(op.value, ())):
            return True
        connected = {subscriber.name for subscriber in state.connected}
        if any(op.value not in known.readers.get(name, ()) for name in connected & known.drained):
            return True  # somebody would have read it
        for name, readers in known.readers.items():
            if op.value in readers and name not in connected:
                return True  # it reads what it will never get
            misses_some = not all(self._is_committed(after, message) for message in known.in_turn[name])
            if op.value not in readers and name in connected and misses_some:
                return True  # it never gets past this message, and reads another one
        return False

    def _is_committed(self, state: State, message: Message) -> bool:
        number = self._known.sends.get(message)
        if number is None or self._known.called[number] > self._at:
            return False
        op = next((op for op in state.operations if op.number == number), None)
        return op is None or op.outcome is not None
