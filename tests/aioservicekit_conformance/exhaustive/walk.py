"""Walk a target's own states: everything that it can do within bounds, on real tasks, breadth first.

From each state the walk takes every move: a call or a cancellation that the bounds permit, or one more callback of the loop. So
calls and cancellations come between any two callbacks. Real tasks can't be copied. Hence each move is made in a run of its own,
which repeats the way to its state from the beginning. Breadth first, these ways are short, and the first failure is a shortest one.

A state that was seen before is not left again. States are the same if their fingerprints are, if the same states of the machine
explain them, and if the same calls remain. Every history is judged as it grows, so the walk judges all that can happen.

A loop that polls may come back to a state that it has left. It is never at rest then, in the strict sense. From one state of each
such circle the walk also goes on as drawn cases do, until nothing that can be seen has changed for long enough.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.history import Event
from aioservicekit_model.channel.world import Bounds, Users, World

from ..running.case import Action, Case
from ..running.loop import SteppedLoop
from ..running.stepped import Message, SteppedCase
from ..target import Target
from .fingerprint import Fingerprints
from .scopes import Scope

__all__ = ["Node", "Step", "Walk", "walk"]

AGAIN = 10_000  # added to the number of an operation each time it is used again: in a case, numbers are used once
MOST_CALLBACKS = 20  # this many run one by one after an action; a loop that is not at rest by then is a polling one
MOST_RUNS = 50_000  # a target whose states never repeat has more


class Left(NamedTuple):
    """What the users may still do.

    Attributes:
        unsent: how many messages each publisher may send.
        cancellations: how many operations may be asked to cancel.
        calls: how many calls may be made; None is any number.
    """

    unsent: tuple[int, ...]
    cancellations: int
    calls: int | None


class Node(NamedTuple):
    """A state of the target among its users.

    Attributes:
        actions: a shortest way to it.
        states: the states of the machine that explain what was seen on this way.
        left: what the users may still do.
    """

    actions: tuple[Action, ...]
    states: frozenset[machine.State]
    left: Left


class Step(NamedTuple):
    """A move from one state to another, and the events that it showed, in the numbers of the closed world."""

    before: int
    after: int
    events: tuple[Event, ...]


class Move(NamedTuple):
    """A call or a cancellation, or else a callback, or all of them until rest; and what the users may do afterwards."""

    action: Action | None
    left: Left
    to_rest: bool = False


class Walk:
    """What a walk has found.

    Attributes:
        nodes: the states.
        steps: the moves between them.
        runs: the number of runs from the beginning.
        stopped: why the walk did not come to its end, or "".
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.steps: list[Step] = []
        self.runs = 0
        self.stopped = ""


class ByBounds:
    """Renames operations to the numbers of the closed world. A message has the number of its send."""

    def operation(self, number: int) -> int:
        return number % AGAIN

    def event(self, event: Event, states: frozenset[machine.State]) -> Event:
        return event._replace(op=event.op % AGAIN)


@contextmanager
def _by_hand() -> Iterator[None]:
    """Meanwhile, garbage is collected by hand alone: what a run leaves is found at once, for little, before it grows old."""
    automatic = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if automatic:
            gc.enable()


@_by_hand()
def walk(
    target: Target,
    scope: Scope,
    failed: Callable[[Case], bool],
    *,
    progress: Callable[[int, int], object] = lambda left, known: None,
    pruned: bool = True,
    most_runs: int | None = None,
) -> Walk:
    """Walk everything that a target can do within a scope.

    Args:
        failed: called with each case that is refused or can't be judged; returns whether that is enough.
        progress: called after each state, with the numbers of states that were left and that are known.
        pruned: whether a state that was seen before is not left again; if not, the scope must limit the calls.
        most_runs: after so many runs the walk is given up; None is `MOST_RUNS`.
    """
    most_runs = most_runs or MOST_RUNS
    found = Walk()
    bounds = scope.bounds
    users = Users(machine, bounds)
    fingerprints = Fingerprints(_of_the_suite)
    numbers: dict[object, int] = {}
    by_callback: dict[int, int] = {}

    def entered(case: SteppedCase, left: Left) -> int:
        fingerprint = fingerprints.of(case.roots, case.loop.time()) if pruned else len(found.nodes)
        number = numbers.setdefault((fingerprint, case.states, left), len(found.nodes))
        if number == len(found.nodes):
            found.nodes.append(Node(tuple(case.actions), case.states, left))
        return number

    there = users.joins[: len(users.joins) - scope.late] if bounds.joined else ()
    first = _run(target, bounds, [Action(event.op, event.kind, event.on, _size(event)) for event in there])
    if not first.judgeable:
        failed(first)
        return found
    entered(first, Left((bounds.messages,) * bounds.publishers, bounds.cancellations, scope.calls))
    del first
    for number, node in enumerate(found.nodes):  # which grow meanwhile
        moves = [*_moves(node, users)]
        for move in moves:  # which may grow by one
            if found.runs == most_runs:
                found.stopped = f"more states than {most_runs:,} runs can visit"
                return found
            found.runs += 1
            case = _run(target, bounds, node.actions)
            seen = len(case.history)
            _make(case, move)
            if case.judgeable:
                events = (ByBounds().event(event, case.states) for event in case.history[seen:])
                after = entered(case, move.left)
                found.steps.append(Step(number, after, tuple(events)))
                if move.action is None and not move.to_rest:
                    by_callback[number] = after
                    if _comes_back(number, by_callback):
                        moves.append(move._replace(to_rest=True))
            elif failed(case):
                found.stopped = "enough was refused"
                return found
            del case
            gc.collect(0)
        progress(number + 1, len(found.nodes))
    return found


def _run(target: Target, bounds: Bounds, actions: Iterable[Action]) -> SteppedCase:
    case = SteppedCase(target, bounds.default_size, ByBounds())
    for action in actions:
        case.perform(action)
    return case


def _make(case: SteppedCase, move: Move) -> None:
    if move.action is not None:
        case.perform(move.action)
    else:
        after = case.actions[-1].after or 0
        case.go_on(None if move.to_rest or after == MOST_CALLBACKS else 1)
    if not case.loop.recurring and case.judgeable and case.actions[-1].after is not None:
        case.go_on(None)


def _comes_back(number: int, by_callback: dict[int, int]) -> bool:
    """Whether callbacks alone lead from a state back to itself, so that they never lead to rest."""
    passed: set[int] = set()
    after = by_callback.get(number)
    while after is not None and after != number and after not in passed:
        passed.add(after)
        after = by_callback.get(after)
    return after == number


def _moves(node: Node, users: Users) -> Iterator[Move]:
    unsent, cancellations, calls = left = node.left
    # The states of the machine differ only in what nobody sees, so in each of them the same calls may come.
    state = next(iter(node.states))
    world = World(state, unsent, cancellations, frozenset(), (), ())
    last = {action.op % AGAIN: action.op for action in node.actions if action.what != "cancel"}
    for event in users.calls(world, state) if calls != 0 else ():
        number = last.get(event.op, event.op - AGAIN) + AGAIN
        sent = tuple(
            n - (event.kind == "send" and event.on == name) for name, n in zip(users.publishers, unsent, strict=True)
        )
        action = Action(number, event.kind, event.on, _size(event), after=0)
        yield Move(action, Left(sent, cancellations, calls and calls - 1))
    for op in state.operations if cancellations else ():
        if not op.cancel_requested:
            yield Move(Action(last[op.number], "cancel", after=0), left._replace(cancellations=cancellations - 1))
    if node.actions and node.actions[-1].after is not None:
        yield Move(None, left)


def _size(event: Event) -> int | None:
    return int(event.value) if event.kind == "subscribe" and event.value is not None else None


def _of_the_suite(thing: object) -> str | None:
    if isinstance(thing, Message):
        return f"message {thing.number}"
    return type(thing).__name__ if isinstance(thing, Case | SteppedLoop | Action) else None
