"""A live history for people: one lane per thread, what was expected, and what was observed instead."""

from collections.abc import Iterable, Sequence

from aioservicekit_model.channel import foresight
from aioservicekit_model.channel.checker import TooManyStates
from aioservicekit_model.channel.history import CANCELLED, CLOSED, EXHAUSTED, Event, raised, returned

from ..report.diagram import Moment
from ..report.wording import IMPOSSIBLE, call_in_words, event_in_words, line
from ..running.watchdog import computing
from .recording import Recorded

__all__ = ["explain", "live_moments", "live_timeline"]

NO_ORDER = "no order of the operations that overlap explains it"


def live_moments(recorded: Sequence[Recorded]) -> tuple[Moment, ...]:
    """The rows of a drawing; an operation that ends before anything else happens is one row."""
    calls = {event.op: event for _, event in recorded if event.what == "call"}
    threads = sorted({thread for thread, event in recorded if event.what != "rest"})
    under_way: dict[int, int] = dict.fromkeys(threads, 0)
    drawn: list[Moment] = []
    for at, (thread, event) in enumerate(recorded):
        before = dict(under_way)
        if thread in under_way:
            under_way[thread] += {"call": 1, "return": -1, "raise": -1, "abandon": -1}.get(event.what, 0)
        course = [_course(before[each], under_way[each]) for each in threads]
        lane = threads.index(thread) if thread in threads else None
        if at and event.what in ("return", "raise") and recorded[at - 1].event == calls[event.op]:
            drawn.pop()
            course[lane or 0] = "through" if under_way[thread] else "point"
        text = line(event, calls.get(event.op)).strip()
        last = at == len(recorded) - 1
        names = tuple(f"T{each}" for each in threads)
        drawn.append(Moment(event.what, text, tuple(course), lane, last, names=names))
    return tuple(drawn)


def _course(before: int, after: int) -> str:
    """How the line of a thread goes on: it is there while an operation is under way."""
    if before and after:
        return "through"
    return "below" if after else "above" if before else ""


DRAWN = {"through": "│", "below": "│", "above": "│", "": " ", "point": " "}


def live_timeline(default_size: int, recorded: Sequence[Recorded], refused: int | None) -> list[str]:
    """The same as lines of text, beginning with one that names the threads."""
    events = recorded if refused is None else recorded[: refused + 1]
    moments = live_moments(events)
    lanes = len(moments[0].lanes) if moments else 0
    head = " ".join(name.removeprefix("T") for name in moments[0].names) if moments else ""
    lines = [f"{head}  threads, and channel = Channel(buffer_size={default_size})"]
    for moment in moments:
        marks = [DRAWN[course] for course in moment.lanes]
        if moment.lane is not None:
            marks[moment.lane] = moment.glyph or "│"
        mark = f"   <== {IMPOSSIBLE}" if moment.impossible and refused is not None else ""
        lines.append(f"{' '.join(marks) if moment.what != 'rest' else ' '.join('─' * lanes)}  {moment.text}{mark}")
    return lines


def explain(default_size: int, history: Sequence[Event], errors: dict[int, str]) -> tuple[str, str]:
    """What the rules permitted where a history was refused, which is its last event, and what was observed instead."""
    *before, event = history
    calls = {each.op: each for each in history if each.what == "call"}
    if event.what == "rest":
        ended = {each.op for each in history if each.what in ("return", "raise", "abandon")}
        waits = [f"[{op}] {call_in_words(calls[op])}" for op in calls if op not in ended]
        observed = f"these still wait: {', '.join(waits)}" if waits else "nothing moves"
        return "everything that can go on has gone on when nothing is left to run", observed
    called = calls[event.op]
    possible = [each for each in _ends(called, calls.values()) if _is_possible(default_size, [*before, each])]
    expected = " or ".join(event_in_words(each) for each in possible) or "goes on"
    return (
        f"{call_in_words(called)} {expected}",
        event_in_words(event._replace(value=errors.get(event.op, event.value))),
    )


def _is_possible(default_size: int, history: Sequence[Event]) -> bool:
    """Whether some order explains a history, as far as can be searched."""
    with computing():
        try:
            return foresight.admits(default_size, history)
        except TooManyStates:
            return False


def _ends(called: Event, calls: Iterable[Event]) -> list[Event]:
    """The ways in which an operation may end."""
    op = called.op
    if called.kind == "observe":
        return [returned(op, phase) for phase in ("initiation", "open", "closed")]
    if called.kind in ("read", "next"):
        results = [returned(op, each.value) for each in calls if each.kind == "send"]
    else:
        results = [returned(op)]
    return [*results, raised(op, EXHAUSTED if called.kind == "next" else CLOSED), raised(op, CANCELLED)]
