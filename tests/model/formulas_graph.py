"""The formulas, carried out: the graph of the channel that they state, within bounds, as that of the machine in Python.

Of all channels that differ only in their ghosts, one is carried on: no guard looks at ghosts.
"""

from collections.abc import Iterator, Sequence

from channel_formulas import (
    ABSENT,
    ACTIONS,
    BIRTH,
    ENDPOINT,
    FAILS,
    GIVES_UP,
    JOIN,
    NONE,
    NUMBER,
    OPERATION,
    READ,
    RETURNS,
    SEND,
    UNCALLED,
    UNDER_WAY,
    Action,
    Channel,
)
from channel_values import tabulated
from closed_world import NAMES, Bounds, Edge, Label, Model, World, normal
from logic import Few, Term

from aioservicekit_model.channel.history import CANCELLED, CLOSED
from aioservicekit_model.channel.machine import PHASES, Operation, Outcome, State, Subscriber

__all__ = ["in_formulas"]

LABELS = NAMES | {
    "call": "Call",
    "ask to cancel": "Cancel",
    "return or raise": "End",
    "close an endpoint": "Close",
    "close the channel": "CloseChannel",
}
KINDS = {"connect": JOIN, "subscribe": JOIN, "send": SEND, "read": READ}


class Carried:
    """The formulas within bounds: the closed world's endpoints and operations, by number."""

    def __init__(self, bounds: Bounds, actions: Sequence[Action]) -> None:
        self.bounds = bounds
        self.actions = actions
        self.operations = bounds.operations
        self.endpoints = [*bounds.publishers, *bounds.sizes]
        sends = len(bounds.publishers) * bounds.sends
        self.few = Few({ENDPOINT: len(self.endpoints), OPERATION: len(self.operations), NUMBER: sends + 1})

    def first(self) -> Channel:
        given = Channel(
            self.few,
            is_publisher=lambda e: e < len(self.bounds.publishers),
            size=lambda e: self.bounds.sizes.get(self.endpoints[e], 0),
            kind=lambda op: KINDS[self.operations[op].kind],
            on=lambda op: self.endpoints.index(self.operations[op].on),
            **dict.fromkeys(Channel._fields[5:], lambda *things: 0),
        )
        return tabulated(BIRTH.effect(given), self.few)

    def steps(self, now: Channel, requests: int) -> Iterator[tuple[Label, Channel, int]]:
        for action in self.actions:
            label = LABELS[action.name]
            for thing in self.few.each(action.sorts):
                if action.may(now, *thing) and self.users_do(label, now, requests, *thing):
                    told = Label(label, *thing if action.sorts == (OPERATION,) else ())
                    yield told, action.effect(now, *thing), requests - (label == "Cancel")

    def users_do(self, label: str, now: Channel, requests: int, *thing: int) -> Term:
        """Operations of an endpoint are called in the order of their numbers, and so many are asked to cancel, once each."""
        if label == "Call":
            (op,) = thing
            return now.kind(op) == JOIN or now.stage(op - 1) != UNCALLED
        return label != "Cancel" or (requests > 0 and not now.asked(*thing))

    def world(self, now: Channel, requests: int) -> World:
        """The channel without its ghosts."""
        there = [e for e in range(len(self.endpoints)) if now.connection(e) != ABSENT]
        called = sorted(range(len(self.operations)), key=now.called)
        state = State(
            phase=PHASES[now.phase],
            publishers=tuple((self.endpoints[e], now.is_connected(e)) for e in there if now.is_publisher(e)),
            subscribers=tuple(
                Subscriber(
                    self.endpoints[e],
                    now.size(e),
                    tuple(now.received(e, place) for place in range(now.taken(e), now.arrived(e))),
                    now.is_connected(e),
                )
                for e in there
                if not now.is_publisher(e)
            ),
            operations=tuple(self.operation(now, op) for op in called if now.stage(op) == UNDER_WAY),
        )
        uncalled = frozenset(op for op in self.operations if now.stage(op) == UNCALLED)
        return World(normal(state), uncalled, requests)

    def operation(self, now: Channel, op: int) -> Operation:
        value = now.message(op) if now.kind(op) == READ else None
        outcomes = {
            NONE: None,
            RETURNS: Outcome("return", value),
            FAILS: Outcome("raise", CLOSED),
            GIVES_UP: Outcome("raise", CANCELLED),
        }
        return self.operations[op]._replace(outcome=outcomes[now.outcome(op)], cancel_requested=now.asked(op))


def in_formulas(bounds: Bounds, actions: Sequence[Action] = ACTIONS) -> tuple[Model, list[Channel]]:
    """The graph, and a channel with its ghosts for each state."""
    carried = Carried(bounds, actions)
    first = carried.first()
    channels = {carried.world(first, bounds.cancellations): first}
    reached = list(channels)
    edges = set()
    for before in reached:  # which grows meanwhile
        for label, channel, requests in carried.steps(channels[before], before.requests):
            after = carried.world(channel, requests)
            if after not in channels:
                channels[after] = tabulated(channel, carried.few)
                reached.append(after)
            edges.add(Edge(before, label, after))
    return Model(set(reached), {edge for edge in edges if edge.before != edge.after}), list(channels.values())
