"""Events and numbers in words. An event has the same words in timelines, drawings, reasons and exported programs.

An exported program contains the source of `line`, `event_in_words` and `call_in_words`, which use nothing but events.
"""

from aioservicekit_model.channel.history import Event
from aioservicekit_model.channel.machine import Outcome

__all__ = ["IMPOSSIBLE", "KEY", "call_in_words", "committed_in_words", "event_in_words", "line", "many"]

KEY = "[n] is the n-th operation that was called; a message has the number of its send"
IMPOSSIBLE = "no channel that keeps the rules does this"


def many(number: int, what: str) -> str:
    """As in "1 call" and "2 calls"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def line(event: Event, called: Event | None) -> str:
    """An event as a line of a history; `called` is the call of its operation, if it has one."""
    said = event_in_words(event)
    return f"[{event.op}] {call_in_words(called)}  {said}" if called else f"    {said}"


def event_in_words(event: Event) -> str:
    """What has happened, or what has happened to an operation."""
    value = "" if event.value is None else f" {event.value}"
    match event.what:
        case "call":
            return "..."
        case "return" | "raise":
            return f"{event.what}s{value}"
        case "cancel":
            return "cancel requested"
        case "observe":
            return f"the channel's state is{value}"
        case "rest":
            return "at rest"
        case "settle":
            return "waits"
        case "abandon":
            return "is left behind: its event loop closes"
        case "wake-up":  # this and the following ones appear only in drawings
            return "is woken"
        case _:
            return str(event.value)


def call_in_words(call: Event) -> str:
    """An operation in the words of its call."""
    match call.kind:
        case "subscribe":
            size = "" if call.value is None else f"buffer_size={call.value}"
            return f"{call.on} = subscribe({size})"
        case "connect":
            return f"{call.on} = connect()"
        case "send":
            return f"{call.on}.send({call.value})"
        case "next":
            return f"{call.on}.__anext__()"
        case "observe":
            return f"{call.on}.state"
        case _:
            return f"{call.on}.{call.kind}()"


def committed_in_words(kind: str, outcome: Outcome) -> str:
    """What is certain about an operation that has not ended yet."""
    if outcome.what == "raise":
        return "can only fail from now on"
    return {"send": "has committed by now"}.get(kind, f"has taken {outcome.value} by now")
