"""Walk a target's own states: everything that it can do within bounds, on real tasks, breadth first.

From each state the walk takes every move: a call or a cancellation that the bounds permit, or one more callback of the loop. So
calls and cancellations come between any two callbacks. Real tasks can't be copied. Hence each move is made in a run of its own,
which repeats the way to its state from the beginning. Breadth first, these ways are short, and the first failure is a shortest one.

A state that was seen before is not left again. States are the same if their fingerprints are, if the same states of the machine
explain them, and if the same calls remain. Every history is judged as it grows, so the walk judges all that can happen.
"""

from collections.abc import Callable, Iterator
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
MOST_CALLBACKS = (
    20  # after an action, callbacks are run one by one; a loop that is not at rest by then is a polling one
)
MOST_RUNS = 50_000  # a target whose states never repeat has more


class Node(NamedTuple):
    """A state of the target, with what its users may still do.

    Attributes:
        actions: a shortest way to it.
        states: the states of the machine that explain what was seen on this way.
        unsent: how many messages each publisher may still send.
        cancellations: how many operations may still be asked to cancel.
        calls: how many calls may still be made; None is any number.
    """

    actions: tuple[Action, ...]
    states: frozenset[machine.State]
    unsent: tuple[int, ...]
    cancellations: int
    calls: int | None


class Step(NamedTuple):
    """A move from one state to another, and the events that it showed, in the numbers of the closed world."""

    before: int
    after: int
    events: tuple[Event, ...]


class Move(NamedTuple):
    """A call or a cancellation, or None for a callback; and what the users may still do afterwards."""

    action: Action | None
    unsent: tuple[int, ...]
    cancellations: int
    calls: int | None


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


def walk(
    target: Target,
    scope: Scope,
    failed: Callable[[Case], bool],
    *,
    progress: Callable[[int, int], object] = lambda left, known: None,
    pruned: bool = True,
) -> Walk:
    """Walk everything that a target can do within a scope.

    Args:
        failed: called with each case that is refused or can't be judged; returns whether that is enough.
        progress: called after each state, with the numbers of states that were left and that are known.
        pruned: whether a state that was seen before is not left again; if not, the scope must limit the calls.
    """
    found = Walk()
    bounds = scope.bounds
    users = Users(machine, bounds)
    fingerprints = Fingerprints(_of_the_suite)
    numbers: dict[object, int] = {}

    def entered(case: SteppedCase, left: Move) -> int:
        fingerprint = fingerprints.of(case.roots, case.loop.time()) if pruned else len(found.nodes)
        number = numbers.setdefault((fingerprint, case.states, *left[1:]), len(found.nodes))
        if number == len(found.nodes):
            found.nodes.append(Node(tuple(case.actions), case.states, *left[1:]))
        return number

    there = users.joins[: len(users.joins) - scope.late] if bounds.joined else ()
    joins = [Action(event.op, event.kind, event.on, _size(event)) for event in there]
    first = _run(target, bounds, joins)
    if not first.judgeable:
        failed(first)
        return found
    entered(first, Move(None, (bounds.messages,) * bounds.publishers, bounds.cancellations, scope.calls))
    for number, node in enumerate(found.nodes):  # which grow meanwhile
        for move in _moves(node, users):
            if found.runs == MOST_RUNS:
                found.stopped = f"more states than {MOST_RUNS:,} runs can visit"
                return found
            found.runs += 1
            case = _run(target, bounds, node.actions)
            seen = len(case.history)
            _make(case, move.action)
            if case.judgeable:
                events = (ByBounds().event(event, case.states) for event in case.history[seen:])
                found.steps.append(Step(number, entered(case, move), tuple(events)))
            elif failed(case):
                found.stopped = "enough was refused"
                return found
        progress(number + 1, len(found.nodes))
    return found


def _run(target: Target, bounds: Bounds, actions: "list[Action] | tuple[Action, ...]") -> SteppedCase:
    case = SteppedCase(target, bounds.default_size, ByBounds())
    for action in actions:
        case.perform(action)
    return case


def _make(case: SteppedCase, action: Action | None) -> None:
    if action is None:
        after = case.actions[-1].after or 0
        case.go_on(1 if after < MOST_CALLBACKS else None)
    else:
        case.perform(action)
    if not case.loop.recurring and case.judgeable and case.actions[-1].after is not None:
        case.go_on(None)


def _moves(node: Node, users: Users) -> Iterator[Move]:
    state = next(
        iter(node.states)
    )  # the states differ only in what nobody sees, so in each of them the same calls may come
    world = World(state, node.unsent, node.cancellations, frozenset(), (), ())
    last = {action.op % AGAIN: action.op for action in node.actions if action.what != "cancel"}
    left = node.calls and node.calls - 1
    for event in users.calls(world, state) if node.calls != 0 else ():
        number = last.get(event.op, event.op - AGAIN) + AGAIN
        unsent = node.unsent
        if event.kind == "send":
            place = users.publishers.index(event.on)
            unsent = (*unsent[:place], unsent[place] - 1, *unsent[place + 1 :])
        action = Action(number, event.kind, event.on, _size(event), after=0)
        yield Move(action, unsent, node.cancellations, left)
    for op in state.operations if node.cancellations else ():
        if not op.cancel_requested:
            yield Move(Action(last[op.number], "cancel", after=0), node.unsent, node.cancellations - 1, node.calls)
    if node.actions and node.actions[-1].after is not None:
        yield Move(None, node.unsent, node.cancellations, node.calls)


def _size(event: Event) -> int | None:
    return int(event.value) if event.kind == "subscribe" and event.value is not None else None


def _of_the_suite(thing: object) -> str | None:
    if isinstance(thing, Message):
        return f"message {thing.number}"
    return type(thing).__name__ if isinstance(thing, Case | SteppedLoop | Action) else None
