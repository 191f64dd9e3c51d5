"""A refused history as moments to draw, one below the other, with a lane for each task."""

from collections.abc import Iterator
from typing import NamedTuple

from aioservicekit_model.channel import Outcome, State
from aioservicekit_model.checker import histories_states
from aioservicekit_model.history import Event

from .case import Case

__all__ = ["Moment", "describe_call", "moments"]

GLYPHS = {"call": "○", "return": "●", "raise": "✕", "cancel": "⊘", "wake-up": "↑", "commit": "◆"}


class Moment(NamedTuple):
    """One row of the drawing.

    Attributes:
        what: "call", "return", "raise", "cancel", "wake-up", "commit", "observe" or "rest".
        text: for people.
        lanes: of each lane, from the left: "" nothing, "below" where its operation begins, "above" where it ends, "through"
            as long as it goes on, "point" where it begins and ends.
        lane: on which lane it happens; None if on none.
        impossible: no channel that keeps the rules does this.
    """

    what: str
    text: str
    lanes: tuple[str, ...] = ()
    lane: int | None = None
    impossible: bool = False

    @property
    def glyph(self) -> str:
        return GLYPHS.get(self.what, "")


def moments(case: Case) -> tuple[Moment, ...]:
    """What a case's history shows up to where it is refused; lanes are used again when their operation has ended."""
    lanes: list[int | None] = []  # the operation on each lane
    calls: dict[int, Event] = {}
    drawn: list[Moment] = []
    for event in _happenings(case):
        what, op = event.what, event.op
        if what == "call":
            calls[op] = event
            if None not in lanes:
                lanes.append(None)
            lanes[lanes.index(None)] = op
        lane = lanes.index(op) if op in lanes else None
        impossible = event is case.judged[-1] and case.refused is not None
        text = f"[{op}] {describe_call(calls[op])} {_text(event)}" if op else _text(event)
        course = ["through" if each is not None else "" for each in lanes]
        if lane is not None and what in ("call", "return", "raise"):
            course[lane] = "below" if what == "call" else "above"
        if what in ("return", "raise") and drawn and (drawn[-1].what, drawn[-1].lane) == ("call", lane):
            course[lane or 0] = "point"
            drawn.pop()
        drawn.append(Moment(what, text, tuple(course), lane, impossible))
        if what in ("return", "raise") and lane is not None:
            lanes[lane] = None
    return tuple(moment._replace(lanes=(*moment.lanes, *[""] * (len(lanes) - len(moment.lanes)))) for moment in drawn)


def describe_call(event: Event) -> str:
    match event.kind:
        case "subscribe":
            size = "" if event.value is None else f"buffer_size={event.value}"
            return f"{event.on} = subscribe({size})"
        case "connect":
            return f"{event.on} = connect()"
        case "send":
            return f"{event.on}.send({event.value})"
        case "next":
            return f"{event.on}.__anext__()"
        case _:
            return f"{event.on}.{event.kind}()"


def _happenings(case: Case) -> Iterator[Event]:
    """The events that people want to see, and as if they were events what none of a history's tells: wake-ups and commits."""
    decided: dict[int, str] = {}
    states = histories_states(case.default_size, case.judged[:-1])
    phase = "initiation"
    rested = False
    for index, event in enumerate(case.judged):
        for number in [number for position, number in case.wake_ups if position == index]:
            if case.judged[index - 1] != Event("cancel", number):  # asyncio's own, to throw the error in
                yield Event("wake-up", number)
        last = index == len(case.judged) - 1
        if event.what == "observe":
            if event.value != phase or last:
                yield event
            phase = str(event.value)
        elif event.what != "rest" or not rested or last:
            yield event
        rested = event.what in ("rest", "observe") and (rested or event.what == "rest")
        if not last:
            outcomes = _outcomes(states[index + 1])
            for number in sorted(outcomes.keys() - decided):
                if number != event.op:
                    yield Event("commit", number, value=outcomes[number])
            decided |= outcomes


def _outcomes(states: frozenset[State]) -> dict[int, str]:
    """What has come of operations by now, in words, where all states that explain the history agree on it."""
    every = [{(op.number, op.kind, op.outcome) for op in state.ops if op.outcome} for state in states]
    return {number: _committed(kind, outcome) for number, kind, outcome in set.intersection(*every)}


def _committed(kind: str, outcome: Outcome) -> str:
    if outcome.what == "raise":
        return "can only fail from now on"
    return {"send": "has committed by now"}.get(kind, f"has taken {outcome.value} by now")


def _text(event: Event) -> str:
    match event.what:
        case "call":
            return "…"
        case "return" | "raise":
            return f"{event.what}s" if event.value is None else f"{event.what}s {event.value}"
        case "cancel":
            return "is cancelled"
        case "wake-up":
            return "is woken"
        case "commit":
            return str(event.value)
        case "observe":
            return f"the channel is in {event.value}"
        case _:
            return "at rest: nothing is left to run"
