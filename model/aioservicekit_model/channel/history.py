"""A history: what an observer sees from outside while a channel is used, as a sequence of events.

An operation is *called*, and in the end *returns* or *raises*. Meanwhile, its cancellation may be requested. Between these events
the channel's state is observed, and from time to time everything comes to *rest*: no callback is left to run.
"""

from typing import NamedTuple

__all__ = [
    "CANCELLED",
    "CLOSED",
    "EXHAUSTED",
    "JOINS",
    "READS",
    "Event",
    "abandon",
    "call",
    "cancel",
    "observe",
    "raised",
    "rest",
    "returned",
    "settle",
]

CLOSED = "ChannelClosedError"
CANCELLED = "CancelledError"
EXHAUSTED = "StopAsyncIteration"

JOINS = ("subscribe", "connect")
READS = ("read", "next")


class Event(NamedTuple):
    """One event; `what` says which kind, and so which of the other fields matter.

    Attributes:
        what: "call", "return", "raise", "cancel", "observe" or "rest".
        op: the number of the operation that was called, ended, or asked to cancel.
        kind: of a call: "subscribe", "connect", "send", "read", "next" (a step of `async for`) or "close".
        on: the endpoint's name, or "channel"; for a join, the name that the new endpoint gets.
        value: the buffer size of a `subscribe` (None: the default), a sent message, a returned message, the name of the
            raised error, or the observed state.
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


def settle(op: int) -> Event:
    return Event("settle", op)


def abandon(op: int) -> Event:
    return Event("abandon", op)
