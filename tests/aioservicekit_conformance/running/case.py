"""One case: actions on a channel, and the history that they make, judged as it grows.

Who carries the actions out is left to subclasses: `SteppedCase` drives a target in Python, and `AgentCase` one in any language.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from itertools import count, islice
from typing import Any, NamedTuple, Protocol

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.checker import GIVEN_UP, advance, start, states_along
from aioservicekit_model.channel.history import JOINS, READS, Event, call, cancel, observe, raised, rest, returned

from .symmetry_reduction import SymmetryReduction

__all__ = ["MOST_STATES", "REACHED", "Action", "Case", "Renaming", "Subject", "replay"]

REACHED = {
    "two or more waiting sends": "at rest, at least two sends wait",
    "a cancel requested after a wake-up": "an operation that could go on is asked to cancel before it runs",
    "a close with waiting sends and readers": "while the channel closes, sends and reads wait",
    "a full and a non-full subscriber at once": "at rest, one connected subscriber is full and another one is not",
    "a subscriber joining while sends wait": "at rest sends wait, and a subscriber joins",
}

CAN_COMMIT = machine.due(machine.COMMIT, "return")
CAN_TAKE = machine.due(machine.TAKE, "return")

# A history that more states explain is given up. Of a few thousand cases of sound channels, none has had more than 500.
MOST_STATES = 5_000


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


class Subject(Protocol):
    """What is judged: a target in Python, or an agent that drives a channel in another language."""

    @property
    def name(self) -> str: ...

    def case(self, default_size: int) -> "Case":
        """A case of a new channel."""


class Case(ABC):
    """A channel under test.

    Attributes:
        actions: what has been done.
        history: what has been seen.
        refused: the index in `history` of the event that no model state explains, or None.
        given_up: whether more than `MOST_STATES` states explained it at some point; it is not judged from there on.
        escaped: what the target uses that can't be judged, or None.
        hung: how it hangs or dies, or None.
        errors: for operations that raised, the error with its text, and the file and line that raised it.
        pending: the call events of the operations under way, by number.
        states: the model states that explain the history, with operations and messages renamed (`SymmetryReduction`).
        overdue: for a case that was refused at rest, what should have happened before.
        late: for an agent that can't tell rests, the rules of which one is broken if what still waits waits for ever.
        reached: the interesting situations (`REACHED`) that this case has met.
        wake_ups: for each time a waiting operation's task was scheduled, the number of events so far, and the operation's.
    """

    def __init__(self, target: Subject, default_size: int, renaming: Renaming | None = None) -> None:
        self.target = target
        self.default_size = default_size
        self.actions: list[Action] = []
        self.states = start(machine, default_size)
        self._renaming = renaming or SymmetryReduction()
        self.history: list[Event] = []
        self.refused: int | None = None
        self.given_up = False
        self.overdue: frozenset[str] = frozenset()
        self.late: frozenset[str] = frozenset()
        self.escaped: str | None = None
        self.hung: str | None = None
        self.errors: dict[int, str] = {}
        self.pending: dict[int, Event] = {}
        self.reached: Counter[str] = Counter()
        self.wake_ups: list[tuple[int, int]] = []
        self._called: set[int] = set()
        self._endpoints: dict[str, Any] = {}
        self._names: dict[str, list[str]] = {"subscribe": [], "connect": []}
        self._observed_at = -1
        self._at_rest = True

    def names(self, what: str) -> list[str]:
        """The endpoints that have been made, in order, with "subscribe" or "connect" for each."""
        return self._names[what]

    def perform(self, action: Action) -> None:
        """Carry out one action, unless what it needs does not exist.

        A refused case goes on: later events show which explanations of the refused event hold.
        """
        if self.escaped or self.hung:
            return
        if not self._is_possible(action):
            return
        self.actions.append(action)
        if action.what == "cancel":
            self._note_cancelling(action.op)
            self._see(cancel(action.op))
        else:
            self._note_calling(action)
            self._called.add(action.op)
            value = action.op if action.what == "send" else action.size
            event = call(action.op, action.what, action.on, value)
            self.pending[action.op] = event
            self._see(event)
        self._carry_out(action)

    @property
    def judgeable(self) -> bool:
        """Whether everything so far is explained, and what comes next can be judged too."""
        return not (self.refused is not None or self.escaped or self.hung or self.given_up)

    @property
    def judged(self) -> list[Event]:
        """The history, up to the refused event."""
        return self.history if self.refused is None else self.history[: self.refused + 1]

    @property
    def steps(self) -> int:
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

    def _close_and_drain(self) -> None:
        self._run(None)
        numbers = count(max(self._called, default=0) + 1)
        self.perform(Action(next(numbers), "close", "channel"))
        for name in self.names("connect"):
            self.perform(Action(next(numbers), "send", name))
        sent = sum(event.kind == "send" for event in self.history)
        for name in self.names("subscribe"):
            for number in islice(numbers, 2 * sent + 1):  # a target may return messages for ever
                self.perform(Action(number, "read", name))
                if self.escaped or self.hung or self._last_of(number) != "return":
                    break

    # What a subclass does

    def _is_possible(self, action: Action) -> bool:
        """Whether what the action needs exists."""
        if action.what == "cancel":
            return action.op in self.pending
        there = action.what in JOINS or action.on == "channel" or self._endpoints.get(action.on) is not None
        return there and action.op not in self._called

    @abstractmethod
    def _carry_out(self, action: Action) -> None:
        """Do it to the channel, observe the state, and let the channel run on."""

    @abstractmethod
    def _run(self, callbacks: int | None) -> None:
        """Let the channel run on: for a number of callbacks, or until it is at rest if `callbacks` is None."""

    # What it tells of the channel

    def _returned(self, op: int, value: Any) -> None:
        """An operation has returned: a join its endpoint, and a read the number of a message's send."""
        event = self.pending.pop(op)
        if event.kind in JOINS:
            self._endpoints[event.on] = value
            self._names[event.kind].append(event.on)
        self._see(returned(op, value if event.kind in READS else None))

    def _raised(self, op: int, error: str, told: str = "") -> None:
        """An operation has raised an error, which is told with its text and the place that raised it."""
        self.pending.pop(op)
        if told:
            self.errors[op] = told
        self._see(raised(op, error))

    def _observe(self, state: str) -> None:
        event = observe(state)
        if len(self.history) != self._observed_at and not (self.history and self.history[-1] == event):
            self._see(event)
        self._observed_at = len(self.history)

    def _rest(self) -> None:
        self._see(rest())
        if self.refused is None:
            self._note_rest()

    def _escape(self, what: str) -> None:
        self.escaped, self.refused = what, None

    # Judging

    def _see(self, event: Event) -> None:
        self.history.append(event)
        if self.refused is not None or self.given_up:
            return
        renamed = self._renaming.event(event, self.states)
        before, self.states = self.states, advance(machine, self.states, renamed, MOST_STATES)
        if self.states == GIVEN_UP:
            self.given_up, self.states = True, frozenset()
        elif not self.states:
            self.refused = len(self.history) - 1
            if event.what == "rest":
                self.overdue = frozenset(due.text for state in before for _, due in machine.overdue(state))

    def _last_of(self, op: int) -> str:
        return next((e.what for e in reversed(self.history) if e.op == op and e.what in ("return", "raise")), "")

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


def replay(target: Subject, default_size: int, actions: Iterable[Action]) -> Case:
    """Carry out the same actions on a new channel, and finish."""
    case = target.case(default_size)
    for action in actions:
        case.perform(action)
    case.finish()
    return case
