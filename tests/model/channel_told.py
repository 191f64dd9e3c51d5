"""A channel of a few things, in words."""

from collections.abc import Iterator

from channel_formulas import ENDPOINT, OPERATION, READ, RETURNS, UNCALLED, UNDER_WAY, Channel
from logic import Few

__all__ = ["told"]

PHASES = ("in initiation", "open", "closed")
CONNECTIONS = ("not there yet", "connected", "closed")
KINDS = ("join", "send", "read")
STAGES = ("not called yet", "under way", "ended")
OUTCOMES = ("no outcome", "returns", "fails", "gives up")


def told(now: Channel, few: Few) -> list[str]:
    """A line for the channel, for each endpoint, and for each operation."""
    log = ", ".join(f"operation {now.log(place)}" for place in range(now.commits)) or "nothing"
    lines = [f"the channel is {PHASES[now.phase]}; committed: {log}"]
    lines += [f"endpoint {e}: {', '.join(_endpoint(now, e))}" for e in range(few.how_many[ENDPOINT])]
    lines += [f"operation {op}: {', '.join(_operation(now, op))}" for op in range(few.how_many[OPERATION])]
    return lines


def _endpoint(now: Channel, e: int) -> Iterator[str]:
    connection = CONNECTIONS[now.connection(e)]
    if now.is_publisher(e):
        yield f"a publisher, {connection}"
        return
    yield f"a subscriber of size {now.size(e)}, {connection}"
    if now.connection(e):
        yield f"joined after {now.joined(e)} commits"
        yield f"received {[now.received(e, place) for place in range(now.arrived(e))]}"
        yield f"{now.taken(e)} taken"


def _operation(now: Channel, op: int) -> Iterator[str]:
    yield f"{KINDS[now.kind(op)]} on endpoint {now.on(op)}, {STAGES[now.stage(op)]}"
    if now.stage(op) != UNCALLED:
        yield f"call {now.called(op)}"
    if now.outcome(op):
        got = f" operation {now.message(op)}" if (now.kind(op), now.outcome(op)) == (READ, RETURNS) else ""
        yield f"{OUTCOMES[now.outcome(op)]}{got}"
    elif now.stage(op) == UNDER_WAY:
        yield "waits"
    if now.asked(op):
        yield "asked to cancel"
