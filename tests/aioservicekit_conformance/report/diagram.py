"""A refused history as moments to draw, one below the other, with one lane per task."""

from collections.abc import Iterator
from typing import NamedTuple

from aioservicekit_model.channel.history import Event
from aioservicekit_model.channel.machine import State

from ..running.case import Case
from .explaining import situation
from .wording import committed_in_words, event_in_words, line

__all__ = ["GLYPHS", "LEGEND", "Moment", "moments"]

GLYPHS = {"call": "○", "return": "●", "raise": "✕", "cancel": "⊘", "wake-up": "↑", "commit": "◆"}
LEGEND = tuple((glyph, event_in_words(Event(what)) if what == "cancel" else what) for what, glyph in GLYPHS.items())


class Moment(NamedTuple):
    """One row of the drawing.

    Attributes:
        what: "call", "return", "raise", "cancel", "wake-up", "commit", "observe" or "rest".
        text: the words for people.
        lanes: one entry per lane, from the left: "" for nothing, "below" where its operation begins, "above" where it ends,
            "through" in between, "point" where it begins and ends.
        lane: the lane on which it happens, or None.
        impossible: no channel that keeps the rules does this.
        situation: what is buffered, and who waits.
        names: for each lane, the endpoint whose operations are on it.
    """

    what: str
    text: str
    lanes: tuple[str, ...] = ()
    lane: int | None = None
    impossible: bool = False
    situation: str = ""
    names: tuple[str, ...] = ()

    @property
    def glyph(self) -> str:
        return GLYPHS.get(self.what, "")


def moments(case: Case) -> tuple[Moment, ...]:
    """Lay out a case's history up to the refused event; a lane is reused when its operation has ended."""
    lanes: list[int | None] = []  # the operation on each lane
    names: list[str] = []
    calls: dict[int, Event] = {}
    drawn: list[Moment] = []
    for event, told in _happenings(case):
        what, op = event.what, event.op
        if what == "call":
            calls[op] = event
            free = [
                lane
                for lane, (name, on) in enumerate(zip(names, lanes, strict=True))
                if name == event.on and on is None
            ]
            if not free:
                names.append(event.on)
                lanes.append(None)
            lanes[free[0] if free else -1] = op
        lane = lanes.index(op) if op in lanes else None
        impossible = event is case.judged[-1] and case.refused is not None
        course = ["through" if each is not None else "" for each in lanes]
        if lane is not None and what in ("call", "return", "raise"):
            course[lane] = "below" if what == "call" else "above"
        if what in ("return", "raise") and drawn and (drawn[-1].what, drawn[-1].lane) == ("call", lane):
            course[lane or 0] = "point"
            drawn.pop()
        drawn.append(Moment(what, line(event, calls.get(op)).strip(), tuple(course), lane, impossible, told))
        if what in ("return", "raise") and lane is not None:
            lanes[lane] = None
    padding = [""] * len(lanes)
    return tuple(
        moment._replace(lanes=(*moment.lanes, *padding[len(moment.lanes) :]), names=tuple(names)) for moment in drawn
    )


def _happenings(case: Case) -> Iterator[tuple[Event, str]]:
    """The events that people want to see, plus wake-ups and commits, which no event of a history shows.

    Each comes with what is buffered and who waits at that time.
    """
    decided: dict[int, str] = {}
    states = case.explained
    phase = "initiation"
    rested = False
    for index, event in enumerate(case.judged):
        before, last = situation(states[index]), index == len(case.judged) - 1
        after = before if last else situation(states[index + 1])
        for number in [number for position, number in case.wake_ups if position == index]:
            if case.judged[index - 1] != Event("cancel", number):  # asyncio's own, which throws the error in
                yield Event("wake-up", number), before
        if event.what == "observe":
            if event.value != phase or last:
                yield event, after
            phase = str(event.value)
        elif event.what != "rest" or not rested or last:
            yield event, after
        rested = event.what in ("rest", "observe") and (rested or event.what == "rest")
        if not last:
            outcomes = _outcomes(states[index + 1])
            for number in sorted(outcomes.keys() - decided):
                if number != event.op:
                    yield Event("commit", number, value=outcomes[number]), after
            decided |= outcomes


def _outcomes(states: frozenset[State]) -> dict[int, str]:
    """Describe what has become of operations by now, if all states that explain the history agree on it."""
    every = [{(op.number, op.kind, op.outcome) for op in state.operations if op.outcome} for state in states]
    return {number: committed_in_words(kind, outcome) for number, kind, outcome in set.intersection(*every)}
