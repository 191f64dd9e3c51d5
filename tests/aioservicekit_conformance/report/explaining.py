"""Why a history was refused: what was expected, what was observed instead, and what makes that impossible."""

from aioservicekit_model.channel.history import READS, Event, observe
from aioservicekit_model.channel.machine import Operation, State, Subscriber, overdue

from ..running.case import Case
from .wording import call_in_words, event_in_words

__all__ = ["because", "explain", "situation"]


def explain(case: Case) -> tuple[str, str]:
    """What the rules permitted where a case was refused, and what was observed instead."""
    event = case.judged[-1]
    states = case.explained[-1]
    match event.what:
        case "observe":
            phases = sorted({state.phase for state in states})
            return event_in_words(event._replace(value=" or ".join(phases))), event_in_words(event)
        case "rest":
            unmet = [{due.text for _, due in overdue(state)} for state in states]
            found = sorted(set.intersection(*unmet) or set.union(*unmet))
            expected = "everything that can go on has gone on when nothing is left to run"
            return expected, "; ".join(found) or "nothing moves"
        case _:
            possible = sorted({_outcome(state, state.operation(event.op)) for state in states})
            if len(possible) > 1:
                possible = [each for each in possible if each != WAITS]  # it may still be undecided, but not for long
            observed = event_in_words(event._replace(value=case.errors.get(event.op, event.value)))
            call = case.call_of(event)
            assert call is not None, "what ends was called"
            return f"{call_in_words(call)} {' or '.join(possible)}", observed


WAITS = "goes on waiting"


def _outcome(state: State, op: Operation) -> str:
    if op.outcome is None:
        return WAITS
    return event_in_words(Event(op.outcome.what, value=op.outcome.value))


def because(case: Case) -> str:
    """Why no channel that keeps the rules does what was refused: who is full, what is buffered, who is closed."""
    event = case.judged[-1]
    states = case.explained[-1]
    call = case.call_of(event)
    if call is None or event.what not in ("return", "raise"):
        return situation(states) if event.what == "rest" else _connected(states)
    if call.kind == "send" and event.what == "return":
        full = [s for s in _same(states) if s.full]
        if full:
            return f"{full[0].name} is full (it holds {_listed(full[0].buffer)}), so {call.value} can't have committed"
    if call.kind in READS and event.what == "return":
        buffers = {state.subscriber(call.on).buffer for state in states}
        if buffers == {()}:
            return f"nothing is in the buffer of {call.on}"
        if all(event.value not in buffer for buffer in buffers):
            return f"{event.value} is not in the buffer of {call.on}; {situation(states)}"
    return situation(states)


def _connected(states: frozenset[State]) -> str:
    names = [
        {p for p, connected in state.publishers if connected} | {s.name for s in state.connected} for state in states
    ]
    certain = set.intersection(*names)
    perhaps = sorted(set.union(*names) - certain)
    told = f"connected: {', '.join(sorted(certain))}" if certain else "nobody is connected"
    return f"{told}, and perhaps {', '.join(perhaps)}" if perhaps else told


def situation(states: frozenset[State]) -> str:
    """What is buffered and who waits, as far as all states that explain a history agree on it."""
    if not states:
        return ""
    told = []
    agreed = {s.name: s for s in _same(states)}
    for name in sorted({s.name for state in states for s in state.subscribers}):
        alike = [s for state in states for s in state.subscribers if s.name == name]
        marks = ["size " + " or ".join(sorted({str(s.size or "unbounded") for s in alike}))]
        marks += ["full"] if name in agreed and agreed[name].full else []
        marks += ["closed"] if name in agreed and not agreed[name].connected else []
        told.append(f"{name} holds {' or '.join(sorted({_listed(s.buffer) for s in alike}))} ({', '.join(marks)})")
    waiting = set.intersection(*(_undecided(state) for state in states))
    if waiting:
        told.append("in line: " + ", ".join(f"[{number}] {on}.{kind}" for number, on, kind in sorted(waiting)))
    phases = " or ".join(sorted({state.phase for state in states}))
    return "; ".join(told) or f"{event_in_words(observe(phases))}, with no subscriber"


def _same(states: frozenset[State]) -> list[Subscriber]:
    """The subscribers that are the same in all states."""
    return sorted(set.intersection(*(set(state.subscribers) for state in states)), key=lambda s: s.name)


def _undecided(state: State) -> set[tuple[int, str, str]]:
    return {
        (op.number, op.on, op.kind) for op in state.operations if op.outcome is None and op.kind in ("send", *READS)
    }


def _listed(buffer: tuple[object, ...]) -> str:
    return ", ".join(map(str, buffer)) or "nothing"
