"""A refused history in words: what was expected, what was seen instead, why that is impossible, and all that led to it."""

from aioservicekit_model.channel import Op, State, Subscriber, overdue
from aioservicekit_model.checker import histories_states
from aioservicekit_model.history import READS, Event

from ..running.case import Case

__all__ = ["KEY", "because", "describe_call", "explain", "situation", "timeline"]

KEY = "[n] is the operation that was called n-th; a message has the number of its send"


def explain(case: Case) -> tuple[str, str]:
    """What the rules permitted where a case was refused, and what was seen instead."""
    event = case.judged[-1]
    states = histories_states(case.default_size, case.judged[:-1])[-1]
    match event.what:
        case "observe":
            phases = sorted({state.phase for state in states})
            return f"the channel is in {' or '.join(phases)}", f"it is in {event.value}"
        case "rest":
            found = sorted({due.name for state in states for due in overdue(state)})
            return "everything that can go on has done so when nothing is left to run", "; ".join(
                found
            ) or "nothing moves"
        case _:
            possible = sorted({_outcome(state, state.op(event.op)) for state in states})
            if len(possible) > 1:
                possible = [each for each in possible if each != WAITS]  # it may be undecided yet, and not for long
            raised = case.errors.get(event.op, event.value)
            observed = f"returns {event.value!r}" if event.what == "return" else f"raises {raised}"
            call = case.call_of(event)
            assert call is not None, "what ends was called"
            return f"{describe_call(call)} {' or '.join(possible)}", observed if event.value is not None else "returns"


WAITS = "goes on waiting"


def _outcome(state: State, op: Op) -> str:
    if op.outcome is None:
        return WAITS
    if op.outcome.what == "raise":
        return f"raises {op.outcome.value}"
    return "returns" if op.outcome.value is None else f"returns {op.outcome.value!r}"


def timeline(case: Case) -> list[str]:
    """A case's history for people to read, a line an event; what a call comes to at once stands beside it."""
    lines = [f"channel = Channel(buffer_size={case.default_size})"]
    states = histories_states(case.default_size, case.judged[:-1])
    seen = "initiation"
    calls: dict[int, Event] = {}
    waiting: dict[int, int] = {}  # where the line of an operation's call stands, as long as nothing came after it
    for index, event in enumerate(case.judged):
        refused = index == case.refused
        mark = "   <== no channel that keeps the rules does this" if refused else ""
        match event.what:
            case "call":
                calls[event.op] = event
                lines.append(f"[{event.op}] {describe_call(event)}  ...{mark}")
                waiting = {event.op: len(lines) - 1}
            case "return" | "raise":
                value = "" if event.value is None else f" {event.value}"
                if event.op in waiting:
                    lines.pop(waiting.pop(event.op))
                lines.append(f"[{event.op}] {describe_call(calls[event.op])}  {event.what}s{value}{mark}")
                waiting.clear()
            case "cancel":
                lines.append(f"[{event.op}] {describe_call(calls[event.op])}  is cancelled{mark}")
                waiting.clear()
            case "observe" if event.value != seen or refused:
                seen = str(event.value)
                lines.append(f"    the channel is in {seen}{mark}")
            case "rest" if refused or not lines[-1].startswith("    at rest"):
                told = situation(states[index]) if states[index] and next(iter(states[index])).subscribers else ""
                lines.append(f"    at rest{': ' if told else ''}{told}{mark}")
                waiting.clear()
    return lines


def because(case: Case) -> str:
    """Why no channel that keeps the rules does what a case was refused for: who is full, what is buffered, who is closed."""
    event = case.judged[-1]
    states = histories_states(case.default_size, case.judged[:-1])[-1]
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
    certain = sorted(set.intersection(*names))
    return f"connected: {', '.join(certain)}" if certain else "nobody is connected"


def situation(states: frozenset[State]) -> str:
    """What is buffered, and who waits, as far as all states that explain a history agree on it."""
    if not states:
        return ""
    told = []
    agreed = {s.name: s for s in _same(states)}
    for name in sorted({s.name for state in states for s in state.subscribers}):
        alike = [s for state in states for s in state.subscribers if s.name == name]
        marks = ["size " + " or ".join(sorted({str(s.size or "unbounded") for s in alike}))]
        marks += ["full"] if name in agreed and agreed[name].full else []
        marks += ["closed"] if name in agreed and agreed[name].closed else []
        told.append(f"{name} holds {' or '.join(sorted({_listed(s.buffer) for s in alike}))} ({', '.join(marks)})")
    waiting = set.intersection(*(_undecided(state) for state in states))
    if waiting:
        told.append("in line: " + ", ".join(f"[{number}] {on}.{kind}" for number, on, kind in sorted(waiting)))
    return (
        "; ".join(told)
        or f"the channel is in {' or '.join(sorted({state.phase for state in states}))}, with no subscriber"
    )


def _same(states: frozenset[State]) -> list[Subscriber]:
    """The subscribers that are alike in all states."""
    return sorted(set.intersection(*(set(state.subscribers) for state in states)), key=lambda s: s.name)


def _undecided(state: State) -> set[tuple[int, str, str]]:
    return {(op.number, op.on, op.kind) for op in state.ops if op.outcome is None and op.kind in ("send", *READS)}


def _listed(buffer: tuple[object, ...]) -> str:
    return ", ".join(map(str, buffer)) or "nothing"


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
