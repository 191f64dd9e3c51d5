"""A history as lines of text."""

from aioservicekit_model.channel.history import Event

from ..running.case import Case
from .explaining import situation
from .wording import IMPOSSIBLE, line

__all__ = ["timeline"]


def timeline(case: Case) -> list[str]:
    """A case's history for people to read, one line per event; an immediate outcome is on the line of its call."""
    lines = [f"channel = Channel(buffer_size={case.default_size})"]
    states = case.explained
    phase = "initiation"
    calls: dict[int, Event] = {}
    called_last, its_line = 0, 0  # the last call, as long as only the state has changed since
    rested = False
    for index, event in enumerate(case.judged):
        refused = index == case.refused
        if event.what == "observe":
            if event.value == phase and not refused:
                continue
            phase = str(event.value)
        elif event.what == "rest":
            if rested and not refused:
                continue
        elif event.what == "call":
            calls[event.op] = event
        if event.op == called_last and event.what in ("return", "raise"):
            lines.pop(its_line)
        told = ""
        if event.what == "rest" and states[index] and next(iter(states[index])).subscribers:
            told = f": {situation(states[index])}"
        mark = f"   <== {IMPOSSIBLE}" if refused else ""
        lines.append(f"{line(event, calls.get(event.op))}{told}{mark}")
        if event.what != "observe":
            called_last, its_line = (event.op, len(lines) - 1) if event.what == "call" else (0, 0)
        rested = event.what == "rest"
    return lines
