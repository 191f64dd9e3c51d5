"""The closed world around a channel: users that call, cancel and wait within bounds, so that every state can be explored.

The users do all that a program can do to a channel, in every order: endpoints join and close, publishers send, subscribers read,
and operations are cancelled. Between their calls the machine takes its actions, and settled operations end. The world adds
to the machine's state only what the users have left to do, and two *ghosts*, which nothing depends on and properties look at: the
messages that each subscriber was due to receive, and those that its reads took.

Many states differ in nothing that anybody can ever notice. In a *reduced* world these are one state:

* endpoints of a kind join in the order of their names (messages are numbered in the order of their sends in any case);
* the order in which endpoints joined is forgotten, and so is that of operations which are not in the same line;
* both ghosts forget messages that reads took as they were due, once no operation has them in hand;
* an operation that is settled, and that nobody can cancel any more, ends at once; so that this is most of them, it is chosen at
  the call of an operation whether it may ever be cancelled.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from ..explorer import Machine
from . import checker
from .history import CANCELLED, CLOSED, EXHAUSTED, READS, Event, call, cancel, observe, rest, returned
from .machine import OBLIGATIONS, PHASES, Message, Operation, Outcome, State

__all__ = ["EVENTS", "Bounds", "Label", "Users", "World", "channel", "closed_world"]


class Bounds(NamedTuple):
    """How much the users do.

    Attributes:
        publishers: so many ever join.
        sizes: of the subscribers that ever join, one each; None: the channel's default.
        default_size: the channel's.
        messages: so many are sent by each publisher.
        waiting: so many sends of one publisher, and reads of one subscriber, are under way at once.
        cancellations: so many operations are asked to cancel.
        closings: whether anything is closed. If so, it may be closed again, any number of times.
        joined: whether the endpoints are there from the beginning.
        iterating: whether subscribers are read with `async for`.
        reduced: whether states that nobody can tell apart are one state.
    """

    publishers: int = 1
    sizes: tuple[int | None, ...] = (1,)
    default_size: int = 0
    messages: int = 1
    waiting: int = 1
    cancellations: int = 0
    closings: bool = True
    joined: bool = False
    iterating: bool = False
    reduced: bool = True


EVENTS = CALL, CANCEL, ENDS, REST, OBSERVE = ("call", "cancel", "ends", "rest", "observe")


class Label(NamedTuple):
    """A step: an event that is seen, or an action that is taken.

    Attributes:
        step: one of the `EVENTS`, or the name of the action, or the mistake, that was taken.
        number, kind, on, value: the operation's.
        ending: how the operation is going to end after this step, or has ended; None if that is open.
    """

    step: str
    number: int = 0
    kind: str = ""
    on: str = ""
    value: Message = None
    ending: tuple[str, Message] | None = None


class World(NamedTuple):
    """All that matters at one instant.

    Attributes:
        now: the machine's state.
        unsent: how many messages each publisher may still send.
        cancellations: how many operations may still be asked to cancel, or, in a reduced world, be chosen for it.
        chosen: in a reduced world, the operations that were.
        due: a ghost: of each subscriber, the messages that committed while it was connected.
        taken: a ghost: of each subscriber, the messages that its reads have taken.
    """

    now: Any
    unsent: tuple[int, ...]
    cancellations: int
    chosen: frozenset[int]
    due: tuple[tuple[Message, ...], ...]
    taken: tuple[tuple[Message, ...], ...]


def channel(world: World) -> State:
    """The channel, without the past that a relaxed machine may have to remember."""
    now = world.now
    return now if isinstance(now, State) else now.state


def closed_world(machine: checker.Machine[Any], bounds: Bounds) -> Machine[World, Label]:
    """A machine among its users, as the explorer wants it."""
    users = Users(machine, bounds)
    return Machine(tuple(users.first()), users.steps)


def _label(step: str, op: Operation, ending: Outcome | None = None) -> Label:
    return Label(step, op.number, op.kind, op.on, op.value, ending and (ending.what, ending.value))


def _replaced(items: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    return (*items[:place], item, *items[place + 1 :])


class Users:
    """What users may do in each state of the world, and what follows."""

    def __init__(self, machine: checker.Machine[Any], bounds: Bounds) -> None:
        self.machine = machine
        self.bounds = bounds
        self.publishers = tuple(f"p{n}" for n in range(1, bounds.publishers + 1))
        self.subscribers = tuple(f"s{n}" for n in range(1, len(bounds.sizes) + 1))
        # Of a relaxed machine: the kinds of operations that may end wrongly, or not at all though they are settled.
        neglected = {each.obligation for each in getattr(machine, "neglects", ())}
        self.end_wrongly = {kind for ending in getattr(machine, "endings", ()) for kind in ending.kinds}
        self.are_left = {kind for each in OBLIGATIONS if each.rule in neglected for kind in each.kinds}

    @cached_property
    def joins(self) -> tuple[Event, ...]:
        sizes = zip(self.subscribers, self.bounds.sizes, strict=True)
        joins = [("connect", name, None) for name in self.publishers] + [
            ("subscribe", name, size) for name, size in sizes
        ]
        return tuple(call(number, *join) for number, join in enumerate(joins, 100))

    @cached_property
    def closings(self) -> tuple[Event, ...]:
        names = (*self.publishers, *self.subscribers, "channel") if self.bounds.closings else ()
        return tuple(call(number, "close", name) for number, name in enumerate(names, 200))

    def first(self) -> Iterator[World]:
        nothing: tuple[tuple[Message, ...], ...] = ((),) * len(self.subscribers)
        unsent = (self.bounds.messages,) * len(self.publishers)
        for now in self.machine.initial(self.bounds.default_size):
            worlds = [World(now, unsent, self.bounds.cancellations, frozenset(), nothing, nothing)]
            for event in self.joins if self.bounds.joined else ():
                called = [after for world in worlds for after in self.seen(world, event)]
                joined = [world._replace(now=now) for world in called for _, _, now in self.machine.steps(world.now)]
                worlds = [after for world in joined for after in self.seen(world, returned(event.op))]
            yield from worlds

    def seen(self, world: World, event: Event) -> Iterator[World]:
        return (world._replace(now=now) for now in self.machine.see(world.now, event))

    def steps(self, world: World) -> Iterator[tuple[Label, World]]:
        """Every step of the users and of the machine, to a state that stands for all those that nobody can tell from it."""
        for label, after in self.every_step(world):
            yield label, self.reduced(after) if self.bounds.reduced else after

    def every_step(self, world: World) -> Iterator[tuple[Label, World]]:
        state = channel(world)
        for event in self.calls(world, state):
            for after in self.seen(world, event):
                yield from self.called(after, channel(after).operation(event.op))
        for op in state.operations:
            yield from self.cancelled(world, op)
            for event in self.endings(op):
                for after in self.seen(world._replace(chosen=world.chosen - {op.number}), event):
                    yield _label(ENDS, op, Outcome(event.what, event.value)), after
        for action, op, now in self.machine.steps(world.now):
            yield self.taken(world._replace(now=now), action.name, op, state)
        for after in self.seen(world, rest()):
            yield Label(REST), after
        for phase in PHASES:
            for after in self.seen(world, observe(phase)):
                if after != world:  # something was seen that changes what may be seen next: the rules let nothing do so
                    yield Label(OBSERVE, value=phase), after

    # ------------------------------------------------------------------------------------------------------- the users

    def calls(self, world: World, state: State) -> Iterator[Event]:
        """What may be called now."""
        under_way = {op.number for op in state.operations}
        joined = {*(name for name, _ in state.publishers), *(s.name for s in state.subscribers)}
        skipped: set[tuple[str, Message]] = set()
        for event in self.joins:
            if event.op in under_way:
                joined.discard(event.on)  # nobody has it in hand before its join has returned
            elif event.on not in joined and (event.kind, event.value) not in skipped:
                yield event
                skipped |= {(event.kind, event.value)} if self.bounds.reduced else set()
        message = sum(self.bounds.messages - unsent for unsent in world.unsent) + 1
        for name, unsent in zip(self.publishers, world.unsent, strict=True):
            waiting = sum(op.kind == "send" and op.on == name for op in state.operations)
            if name in joined and unsent and waiting < self.bounds.waiting:
                yield call(message, "send", name, message)
        for place, name in enumerate(self.subscribers):
            first = 1000 + place * self.bounds.waiting
            free = [number for number in range(first, first + self.bounds.waiting) if number not in under_way]
            if name in joined and free:
                yield call(free[0], "next" if self.bounds.iterating else "read", name)
        for event in self.closings:
            if event.op not in under_way and (event.on in joined or event.on == "channel"):
                yield event

    def called(self, after: World, op: Operation) -> Iterator[tuple[Label, World]]:
        if op.kind == "send":
            place = self.publishers.index(op.on)
            after = after._replace(unsent=_replaced(after.unsent, place, after.unsent[place] - 1))
        label = _label(CALL, op, op.outcome)
        yield label, after
        if self.bounds.reduced and after.cancellations:
            yield label, after._replace(cancellations=after.cancellations - 1, chosen=after.chosen | {op.number})

    def cancelled(self, world: World, op: Operation) -> Iterator[tuple[Label, World]]:
        if op.cancel_requested:
            return
        if op.number in world.chosen:
            world = world._replace(chosen=world.chosen - {op.number})
        elif world.cancellations and not self.bounds.reduced:
            world = world._replace(cancellations=world.cancellations - 1)
        else:
            return
        for after in self.seen(world, cancel(op.number)):
            yield _label(CANCEL, op), after

    def endings(self, op: Operation) -> list[Event]:
        """How an operation might end; the machine says what of it may be."""
        endings = [op.outcome] if op.outcome else []
        if op.kind in self.end_wrongly or (op.kind == "close" and op.cancel_requested):
            endings.append(Outcome("raise", CANCELLED))
        if op.kind in self.end_wrongly:
            errors = ("ValueError", CLOSED, EXHAUSTED)
            endings += [Outcome("return"), *(Outcome("raise", error) for error in errors)]
        seen = (ending for ending in dict.fromkeys(endings) if ending.what in ("return", "raise"))
        return [Event(ending.what, op.number, value=ending.value) for ending in seen]  # always in the same order

    # --------------------------------------------------------------------------------------------------- the machine

    def taken(self, after: World, name: str, before: Operation, state: State) -> tuple[Label, World]:
        """An action has been taken: the ghosts are told of messages that have committed, and of those that were taken."""
        op = channel(after).operation(before.number)
        if op.outcome and op.outcome.what == "return" and op.outcome != before.outcome:
            due, taken = after.due, after.taken
            if op.kind == "send":
                connected = {s.name for s in state.connected}
                ghosts = zip(self.subscribers, due, strict=True)
                due = tuple((*messages, op.value) if name in connected else messages for name, messages in ghosts)
            elif op.kind in READS:
                place = self.subscribers.index(op.on)
                if taken[place].count(op.outcome.value) < 2:  # else it could be taken without end
                    taken = _replaced(taken, place, (*taken[place], op.outcome.value))
            after = after._replace(due=due, taken=taken)
        return _label(name, op, op.outcome), after

    # -------------------------------------------------------------------------------------------------- the reductions

    def reduced(self, world: World) -> World:
        """The one state that stands for all those that nobody can tell from this one."""
        now = world.now
        for op in channel(world).operations:
            is_open = op.cancel_requested or op.number in world.chosen or op.kind in self.end_wrongly | self.are_left
            if op.outcome and op.outcome.what in ("return", "raise") and not is_open:
                (now,) = self.machine.see(now, Event(op.outcome.what, op.number, value=op.outcome.value))
        state = now if isinstance(now, State) else now.state
        state = state._replace(
            publishers=tuple(sorted(state.publishers)),
            subscribers=tuple(sorted(state.subscribers)),
            operations=tuple(sorted(state.operations, key=_line)),
        )
        due, taken = world.due, world.taken
        held = {message for op in state.operations for message in (op.value, op.outcome and op.outcome.value)}
        for subscriber in state.subscribers:
            place = self.subscribers.index(subscriber.name)
            if (*taken[place], *subscriber.buffer) == due[place] and held.isdisjoint(taken[place]):
                due = _replaced(due, place, subscriber.buffer)
                taken = _replaced(taken, place, ())
        return world._replace(now=state if isinstance(now, State) else now._replace(state=state), due=due, taken=taken)


def _line(op: Operation) -> tuple[str, str, int]:
    """Operations that wait in the same line are equal here, and keep their order."""
    if op.outcome is None and op.kind == "send":
        return "send", "", 0
    if op.outcome is None and op.kind in READS:
        return "read", op.on, 0
    return "", "", op.number
