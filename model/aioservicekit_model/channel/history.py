"""A history: what was seen from outside while a channel was used, as a sequence of events.

An operation is *called*, and in the end *returns* or *raises*; meanwhile its cancellation may have been requested. Between
events the channel's state is observed, and now and then everything has come to *rest*: no callback is left to run.
"""

from typing import NamedTuple

__all__ = [
    "CANCELLED",
    "CLOSED",
    "EXHAUSTED",
    "JOINS",
    "READS",
    "Event",
    "call",
    "cancel",
    "observe",
    "raised",
    "rest",
    "returned",
]

CLOSED = "ChannelClosedError"
CANCELLED = "CancelledError"
EXHAUSTED = "StopAsyncIteration"

JOINS = ("subscribe", "connect")
READS = ("read", "next")


class Event(NamedTuple):
    """One event; `what` tells which, and which of the other fields matter.

    Attributes:
        what: "call", "return", "raise", "cancel", "observe" or "rest".
        op: the number of the operation that was called, ended or is being cancelled.
        kind: of a called operation: "subscribe", "connect", "send", "read", "next" (a step of `async for`) or "close".
        on: the endpoint's name, or "channel"; of a join, the name that the new endpoint gets.
        value: a called `subscribe`'s buffer size (None: the default), a sent message, a returned message, the name of the
            error that was raised, or the observed state.
    """

    what: str
    op: int = 0
    kind: str = ""
    on: str = ""
    value: int | str | None = None


def call(op: int, kind: str, on: str, value: int | str | None = None) -> Event:
    return Event("call", op, kind, on, value)


def returned(op: int, value: int | str | None = None) -> Event:
    return Event("return", op, value=value)


def raised(op: int, error: str) -> Event:
    return Event("raise", op, value=error)


def cancel(op: int) -> Event:
    return Event("cancel", op)


def observe(state: str) -> Event:
    return Event("observe", value=state)


def rest() -> Event:
    return Event("rest")
