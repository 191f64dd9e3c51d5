"""Random live histories: a walk through the machine's states makes one that is admitted; a change to it may have it refused."""

from random import Random

from aioservicekit_model.channel import live
from aioservicekit_model.channel.history import (
    CANCELLED,
    CLOSED,
    JOINS,
    READS,
    Event,
    abandon,
    call,
    cancel,
    raised,
    rest,
    returned,
    settle,
)
from aioservicekit_model.channel.machine import Operation

__all__ = ["MESSAGES", "changed", "walk"]

UNDER_WAY = 4  # at once: with more of them the plain search takes its time
MESSAGES = ("send",) * 2 + ("read",) * 3
EVERYTHING = ("send",) * 8 + ("read",) * 8 + ("next", "observe", "subscribe", "connect", "close")


def walk(
    chance: Random,
    events: int,
    default_size: int,
    leave: float = 0.0,
    kinds: tuple[str, ...] = EVERYTHING,
    under_way: int = UNDER_WAY,
) -> list[Event]:
    """An admitted history.

    Args:
        events: how many there are at least, unless nothing more can happen.
        leave: how often operations are abandoned, from 0 to 1.
        kinds: those of the operations, each as often as it is there.
        under_way: how many operations there are at once.
    """
    return _Walk(chance, default_size, leave, kinds, under_way).history_of(events)


class _Walk:
    def __init__(self, chance: Random, default_size: int, leave: float, kinds: tuple[str, ...], under_way: int) -> None:
        self._chance = chance
        self._leave = leave
        self._kinds = kinds
        self._under_way = under_way
        (self._now,) = live.initial(default_size)
        self._history: list[Event] = []
        self._number = 0
        self._endpoints: dict[str, list[str]] = {"connect": [], "subscribe": []}

    def history_of(self, events: int) -> list[Event]:
        for kind in ("subscribe", "connect"):
            self._call(kind)
            self._finish()
        while len(self._history) < events:
            doing = self._chance.choice(
                (self._call_any, self._call_any, self._step, self._step, self._end, self._event)
            )
            doing()
            if self._chance.random() < 0.05:
                self._finish()
                self._see(rest())
        return self._history

    def _see(self, event: Event) -> None:
        after = list(live.see(self._now, event))
        if after:
            (self._now,) = after
            self._history.append(event)

    def _call_any(self) -> None:
        if len(self._now.lines.under_way) < self._under_way:
            self._call(self._chance.choice(self._kinds))

    def _call(self, kind: str) -> None:
        self._number += 1
        number = self._number
        publishers, subscribers = self._endpoints["connect"], self._endpoints["subscribe"]
        if kind in JOINS:
            name = f"{'s' if kind == 'subscribe' else 'p'}{number}"
            size = self._chance.choice((None, 0, 1, 2)) if kind == "subscribe" else None
            self._see(call(number, kind, name, size))
        elif kind == "observe" or (kind == "close" and self._chance.random() < 0.2):
            self._see(call(number, kind, "channel"))
        else:
            there = {"send": publishers, "close": publishers + subscribers}.get(kind, subscribers)
            if there:
                self._see(call(number, kind, self._chance.choice(there), number if kind == "send" else None))

    def _step(self) -> None:
        after = [now for _, _, now in live.steps(self._now)]
        if after:
            self._now = self._chance.choice(after)

    def _end(self, op: Operation | None = None) -> None:
        decided = [op for op in self._now.state.operations if op.outcome and op.number in self._now.lines.under_way]
        if not decided:
            return
        op = op or self._chance.choice(decided)
        assert op.outcome
        self._see((returned if op.outcome.what == "return" else raised)(op.number, op.outcome.value))  # type: ignore[arg-type]
        if op.kind in JOINS and op.outcome.what == "return":
            self._endpoints[op.kind].append(op.on)

    def _event(self) -> None:
        under_way = [op for op in self._now.state.operations if op.number in self._now.lines.under_way]
        if not under_way:
            return
        op = self._chance.choice(under_way)
        if op.kind in ("send", *READS) and self._chance.random() < self._leave:
            self._see(abandon(op.number))
        elif op.kind != "observe" and self._chance.random() < 0.3:
            self._see(cancel(op.number))
        elif op.number not in self._now.lines.in_line and op.kind != "observe":
            self._see(settle(op.number))

    def _finish(self) -> None:
        """Let everything come to rest."""
        while (
            waiting := {op.number for op in self._now.state.operations if op.outcome is None}
            & self._now.lines.under_way
        ):
            after = [now for _, op, now in live.steps(self._now) if op.number in waiting]
            if not after:
                break
            self._now = self._chance.choice(after)
        for _ in range(len(self._now.state.operations)):
            self._end()


def changed(chance: Random, history: list[Event]) -> list[Event]:
    """The history with one change, and with nothing in it that no recorder would record."""
    events = list(history)
    at = chance.randrange(len(events))
    ends = [index for index, event in enumerate(events) if event.what in ("return", "raise")]
    reads = {event.op for event in events if event.kind in READS}
    taken = [index for index in ends if events[index].what == "return" and events[index].op in reads]
    match chance.randrange(7):
        case 0 if len(taken) > 1:
            one, other = chance.sample(taken, 2)
            values = events[one].value, events[other].value
            events[one], events[other] = (
                events[one]._replace(value=values[1]),
                events[other]._replace(value=values[0]),
            )
        case 1 if ends:
            index = chance.choice(ends)
            events[index] = chance.choice((returned, raised))(events[index].op, chance.choice((CLOSED, CANCELLED)))
        case 2:
            events.insert(at, rest())
        case 3 if ends:  # an operation that does not end
            del events[chance.choice(ends)]
        case 4:  # a later event comes sooner
            moved = events.pop(at)
            events.insert(chance.randrange(max(0, at - 6), at + 1), moved)
        case 5:
            events = [event for event in events if event.what != "settle" or chance.random() < 0.5]
        case _:
            observed = [index for index in ends if events[index].value in ("initiation", "open", "closed")]
            if observed:
                index = chance.choice(observed)
                events[index] = events[index]._replace(value=chance.choice(("initiation", "open", "closed")))
    return events if is_recordable(events) else history


def is_recordable(events: list[Event]) -> bool:
    """Whether each operation is called once, on an endpoint whose join has returned, and all else comes between call and end."""
    under_way: dict[int, Event] = {}
    joined = {"channel"}
    for event in events:
        if event.what == "call":
            if event.kind not in JOINS and event.on not in joined:
                return False
            under_way[event.op] = event
        elif event.what == "rest":
            continue
        elif event.op not in under_way:
            return False
        if event.what in ("return", "raise", "abandon"):
            called = under_way.pop(event.op)
            if event.what == "return" and called.kind in JOINS:
                joined.add(called.on)
    return True
