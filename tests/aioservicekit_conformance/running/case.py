"""One case: actions on a target, on a hand-stepped loop, and the history that they make, judged as it grows."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from itertools import count, islice
from typing import Any, NamedTuple, Protocol

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.checker import GIVEN_UP, advance, start, states_along
from aioservicekit_model.channel.history import JOINS, READS, Event, call, cancel, observe, raised, rest, returned

from ..target import Target
from .loop import Quiet, SteppedLoop
from .symmetry_reduction import SymmetryReduction
from .watchdog import Hang, describe_error

__all__ = ["MOST_STATES", "REACHED", "Action", "Case", "replay"]

REACHED = {
    "two or more waiting sends": "at rest, at least two sends wait",
    "a cancel requested after a wake-up": "an operation that could go on is asked to cancel before it runs",
    "a close with waiting sends and readers": "while the channel closes, sends and reads wait",
    "a full and a non-full subscriber at once": "at rest, one connected subscriber is full and another one is not",
    "a subscriber joining while sends wait": "at rest sends wait, and a subscriber joins",
}

CAN_COMMIT = machine.due(machine.COMMIT, "return")
CAN_TAKE = machine.due(machine.TAKE, "return")

MOST_STATES = 5_000  # a history that more states explain is not judged further; most have less than a hundred
NO_REST = 10_000  # a target that shows new things for this many callbacks never rests


class Action(NamedTuple):
    """One action on a target, and how far to let its loop run afterwards.

    Attributes:
        op: the operation's number; for a cancellation, that of the operation to cancel.
        what: "subscribe", "connect", "send", "read", "next", "close" or "cancel".
        on: the endpoint's name, or "channel"; for a join, the name that the new endpoint gets.
        size: a subscriber's buffer size; None is the channel's default.
        after: the number of callbacks to run before the next action; None runs all, until the loop is at rest.
    """

    op: int
    what: str
    on: str = ""
    size: int | None = None
    after: int | None = None


class Renaming(Protocol):
    """Renames operations and messages for the machine, so that histories that differ only in names become the same."""

    def operation(self, number: int, /) -> int: ...

    def event(self, event: Event, states: frozenset[machine.State], /) -> Event: ...


class Message:
    """A message: false, and equal to every other one, because what a channel carries is none of its business."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message)

    __hash__ = None  # type: ignore[assignment]


class Case:
    """A target's channel under test.

    Attributes:
        actions: what has been done.
        history: what has been seen.
        refused: the index in `history` of the event that no model state explains, or None.
        escaped: why this case can't be judged, or None.
        hung: where the target hangs, or None.
        errors: for operations that raised, the error with its text, and the file and line that raised it.
        pending: the call events of the operations under way, by number.
        states: the model states that explain the history, with operations and messages renamed (`SymmetryReduction`).
        overdue: for a case that was refused at rest, what should have happened before.
        reached: the interesting situations (`REACHED`) that this case has met.
        wake_ups: for each time a waiting operation's task was scheduled, the number of events so far, and the operation's.
    """

    def __init__(self, target: Target, default_size: int, renaming: Renaming | None = None) -> None:
        self.target = target
        self.default_size = default_size
        self.actions: list[Action] = []
        self.states = start(machine, default_size)
        self._renaming = renaming or SymmetryReduction()
        self.history: list[Event] = []
        self.refused: int | None = None
        self._given_up = False
        self.overdue: frozenset[str] = frozenset()
        self.escaped: str | None = None
        self.hung: str | None = None
        self.errors: dict[int, str] = {}
        self.pending: dict[int, Event] = {}
        self.reached: Counter[str] = Counter()
        self.wake_ups: list[tuple[int, int]] = []
        self.loop = SteppedLoop()
        self.loop.scheduled = self._note_wake_up
        self._threads = threading.active_count()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._numbers: dict[object, int] = {}
        self._endpoints: dict[str, Any] = {}
        self._iterators: list[object] = []
        self._names: dict[str, list[str]] = {"subscribe": [], "connect": []}
        self._observed_at = -1
        self._at_rest = True
        self._channel: Any = None
        self._state: object = None
        building = self.loop.start(self._build())  # in a running loop: a separate check builds one without
        error = building.exception()
        if error is None:
            self._observe()
        else:
            self.escaped = f"a constructor that raises {describe_error(error)}"
            self.hung = str(error) if isinstance(error, Hang) else None

    def names(self, what: str) -> list[str]:
        """The endpoints that have been made, in order, with "subscribe" or "connect" for each."""
        return self._names[what]

    def perform(self, action: Action) -> None:
        """Carry out one action, unless what it needs does not exist.

        A refused case goes on: later events show which explanations of the refused event hold.
        """
        if self.escaped or self.hung:
            return
        if action.what == "cancel":
            if action.op not in self.pending:
                return
            self._note_cancelling(action.op)
            self.actions.append(action)
            self._see(cancel(action.op))
            self._tasks[action.op].cancel()
        else:
            operation = self._operation(action)
            if operation is None or action.op in self._tasks:
                return
            self._note_calling(action)
            self.actions.append(action)
            value = action.op if action.what == "send" else action.size
            event = call(action.op, action.what, action.on, value)
            self.pending[action.op] = event
            self._see(event)
            task = self._tasks[action.op] = self.loop.start(self._watch(action, operation))
            self._numbers[task] = action.op
        self._observe()
        self._run(action.after)

    def go_on(self, callbacks: int | None) -> None:
        """Let the loop run further after the last action, as if the action had said so; None is until all is at rest."""
        *_, last = self.actions
        self.actions[-1] = last._replace(after=None if callbacks is None else (last.after or 0) + callbacks)
        self._run(callbacks)

    @property
    def judgeable(self) -> bool:
        """Whether everything so far is explained, and what comes next can be judged too."""
        return not (self.refused is not None or self.escaped or self.hung or self._given_up)

    @property
    def roots(self) -> list[object]:
        """All objects from which the target's part in this case can be reached, always in the same order."""
        tasks = sorted((self._renaming.operation(number), self._tasks[number]) for number in self.pending)
        callbacks = [handle for handle, *_ in self.loop._ready]
        timers = [handle for _, _, handle, _ in sorted(self.loop._timers, key=lambda timer: timer[:2])]
        return [self._channel, sorted(self._endpoints.items()), tasks, callbacks, timers]

    @property
    def judged(self) -> list[Event]:
        """The history, up to the refused event."""
        return self.history if self.refused is None else self.history[: self.refused + 1]

    @property
    def operations(self) -> int:
        """The number of calls and requests to cancel, up to the refused event."""
        return sum(event.what in ("call", "cancel") for event in self.judged)

    @property
    def explained(self) -> list[frozenset[machine.State]]:
        """The sets of states along the history before the last judged event, which is the refused one if there is one."""
        return states_along(machine, self.default_size, self.judged[:-1])

    def call_of(self, event: Event) -> Event | None:
        """The call of an event's operation, if it has one."""
        return next((e for e in self.history if e.what == "call" and e.op == event.op), None)

    def finish(self) -> None:
        """Come to rest, close the channel, send in vain, read what is left. This shows whatever has gone wrong by now.

        `actions` does not include these steps, since they follow every case.
        """
        if not (self.escaped or self.hung):
            done, self.actions = self.actions, []
            self._close_and_drain()
            self.actions = done
        self.loop.retire()

    def _close_and_drain(self) -> None:
        self._run(None)
        numbers = count(max(self._tasks, default=0) + 1)
        self.perform(Action(next(numbers), "close", "channel"))
        for name in self.names("connect"):
            self.perform(Action(next(numbers), "send", name))
        sent = sum(event.kind == "send" for event in self.history)
        for name in self.names("subscribe"):
            for number in islice(numbers, 2 * sent + 1):  # a target may return messages for ever
                self.perform(Action(number, "read", name))
                if self.escaped or self.hung or self._last_of(number) != "return":
                    break

    # What the target does

    async def _build(self) -> None:
        self._channel = self.target.channel(self.default_size)

    def _operation(self, action: Action) -> Callable[[], Coroutine[Any, Any, Any]] | None:
        if action.what == "subscribe":
            return lambda: (
                self._channel.subscribe() if action.size is None else self._channel.subscribe(buffer_size=action.size)
            )
        if action.what == "connect":
            return lambda: self._channel.connect()
        endpoint = self._channel if action.on == "channel" else self._endpoints.get(action.on)
        if endpoint is None:
            return None
        if action.what == "send":
            return lambda: endpoint.send(Message(action.op))
        if action.what == "next":
            return lambda: self._step_of_iteration(endpoint)
        return lambda: getattr(endpoint, action.what)()

    async def _step_of_iteration(self, endpoint: Any) -> Any:
        """Begin an `async for`: its iterator may be an asynchronous generator, and is kept, because nothing ends it."""
        iterator = aiter(endpoint)
        self._iterators.append(iterator)
        return await anext(iterator)

    async def _watch(self, action: Action, operation: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            value = await operation()
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except Hang as hang:
            self.hung = str(hang)
        except BaseException as error:
            self.pending.pop(action.op)
            if not isinstance(error, (self.target.closed_error, asyncio.CancelledError, StopAsyncIteration)):
                self.errors[action.op] = describe_error(error)
            self._see(raised(action.op, self._error_name(error)))
        else:
            self.pending.pop(action.op)
            if action.what in JOINS:
                self._endpoints[action.on] = value
                self._names[action.what].append(action.on)
            self._see(returned(action.op, self._message(value) if action.what in READS else None))

    def _error_name(self, error: BaseException) -> str:
        if isinstance(error, self.target.closed_error):
            return "ChannelClosedError"
        return type(error).__name__

    def _message(self, value: object) -> int | str:
        return value.number if isinstance(value, Message) else repr(value)

    # What is observed

    def _see(self, event: Event) -> None:
        self.history.append(event)
        if self.refused is not None or self._given_up:
            return
        renamed = self._renaming.event(event, self.states)
        before, self.states = self.states, advance(machine, self.states, renamed, MOST_STATES)
        if self.states == GIVEN_UP:
            self._given_up, self.states = True, frozenset()
        elif not self.states:
            self.refused = len(self.history) - 1
            if event.what == "rest":
                self.overdue = frozenset(due.text for state in before for _, due in machine.overdue(state))

    def _observe(self) -> None:
        event = observe(self._state_seen())
        if len(self.history) != self._observed_at and not (self.history and self.history[-1] == event):
            self._see(event)
        self._observed_at = len(self.history)

    def _state_seen(self) -> str:
        try:
            self._state = self._channel.state
            return self.target.states.get(self._state, repr(self._state))
        except Hang as hang:
            self.hung = str(hang)
            return f"state hangs at {hang}"
        except (Exception, SystemExit) as error:
            self._state = f"state raises {describe_error(error)}"
            return self._state

    def _run(self, callbacks: int | None) -> None:
        quiet = Quiet(self.loop)
        for _ in range(NO_REST if callbacks is None else callbacks):
            if (callbacks is None and quiet.over((len(self.history), self._state))) or not self.loop.step():
                break
            self._observe()
        else:
            if callbacks is None:
                self.loop.escapes.append(f"no rest after {NO_REST} callbacks")
        self._at_rest = callbacks is None
        if threading.active_count() > self._threads:
            self.loop.escapes.append("its own thread")
        if self.loop.escapes and self.escaped is None:
            self.escaped, self.refused = self.loop.escapes[0], None
        if callbacks is None and not (self.escaped or self.hung):
            self._see(rest())
            if self.refused is None:
                self._note_rest()

    def _last_of(self, op: int) -> str:
        return next((e.what for e in reversed(self.history) if e.op == op and e.what in ("return", "raise")), "")

    def _note_wake_up(self, callback: object) -> None:
        number = self._numbers.get(getattr(callback, "__self__", None))
        if number in self.pending:
            self.wake_ups.append((len(self.history), number))

    # What was reached

    def _waiting(self, kinds: Iterable[str]) -> int:
        return sum(event.kind in kinds for event in self.pending.values())

    def _note_rest(self) -> None:
        if self._waiting(["send"]) >= 2:
            self.reached["two or more waiting sends"] += 1
        if any(len({subscriber.full for subscriber in state.connected}) == 2 for state in self.states):
            self.reached["a full and a non-full subscriber at once"] += 1

    def _note_calling(self, action: Action) -> None:
        if action.what == "subscribe" and self._at_rest and self._waiting(["send"]):
            self.reached["a subscriber joining while sends wait"] += 1
        if (action.what, action.on) == ("close", "channel") and self._waiting(["send"]) and self._waiting(READS):
            self.reached["a close with waiting sends and readers"] += 1

    def _note_cancelling(self, number: int) -> None:
        def granted(state: machine.State) -> bool:
            op = state.operation(self._renaming.operation(number))
            return not op.cancel_requested and (
                (op.kind == "send" and CAN_COMMIT(state, op)) or (op.kind in READS and CAN_TAKE(state, op))
            )

        if any(granted(state) for state in self.states):
            self.reached["a cancel requested after a wake-up"] += 1


def replay(target: Target, default_size: int, actions: Iterable[Action]) -> Case:
    """Carry out the same actions on a new channel, and finish."""
    case = Case(target, default_size)
    for action in actions:
        case.perform(action)
    case.finish()
    return case
