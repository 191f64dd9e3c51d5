"""The diagrams of states, as Graphviz's DOT: what exploring the machines of channels and services finds, within small bounds.

The ways between states, what leads along each, and the rules of guards come from the machines. A few words are by hand, and so are
the rules that the machine of channels keeps in effects.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar

from aioservicekit_model.channel import machine as channels
from aioservicekit_model.channel.history import CANCELLED, JOINS, READS, Event, call, cancel
from aioservicekit_model.explorer import Machine, explore
from aioservicekit_model.service import ACTIONS
from aioservicekit_model.service.machine import STOPPED, World
from aioservicekit_model.service.properties import bounded

__all__ = ["channel_states", "operation_states", "service_states"]

Way = tuple[str, str, str]  # from a node, to a node, and by what


State = TypeVar("State", bound=Hashable)
Label = TypeVar("Label", bound=Hashable)


def explored(machine: Machine[State, Label]) -> Iterator[tuple[State, Label, State]]:
    """Every step from every state that can be reached."""
    graph = explore(machine)
    for number, before in enumerate(graph.states):
        for by, after in graph.steps(number):
            yield before, graph.labels[by], graph.states[after]


def digraph(nodes: tuple[str, ...], ways: set[Way]) -> str:
    """A graph in DOT, with one arrow from a node to another, however many ways there are."""
    labels: dict[tuple[str, str], list[str]] = {}
    for before, after, by in sorted(ways):
        labels.setdefault((before, after), []).extend(f"  {line}\\l" for line in by.splitlines())
    arrows = [f'"{before}" -> "{after}" [label="{"".join(lines)}"]' for (before, after), lines in labels.items()]
    return "\n    ".join(["digraph {", '"" [shape=point, width=0.12, height=0.12]', *nodes, *arrows]) + "\n}\n"


# --------------------------------------------------------------------------------------------------------------- channels

Deed = tuple[channels.Operation, str, str]  # whose it is; its name and the rules of its guards, if it can't be seen


def using(
    kinds: tuple[str, ...], names: tuple[str, ...], most: int
) -> Callable[[channels.State], Iterator[tuple[Deed, channels.State]]]:
    """What may happen to a channel: operations of these kinds, so many at a time, on endpoints of these names."""

    def events(state: channels.State) -> Iterator[Event]:
        for op in state.operations:
            yield cancel(op.number)
            if op.outcome:
                yield Event(op.outcome.what, op.number, value=op.outcome.value)
        free = {*range(most)} - {op.number for op in state.operations}
        publishers, subscribers = [name for name, _ in state.publishers], [s.name for s in state.subscribers]
        joining = [op.on for op in state.operations if op.kind in JOINS]
        on = {
            **{join: [name for name in names if name not in (*publishers, *subscribers, *joining)] for join in JOINS},
            **dict.fromkeys(READS, subscribers),
            "send": publishers if all(len(s.buffer) < 2 for s in state.subscribers) else [],
            "close": ["channel", *publishers, *subscribers],
        }
        if free:
            yield from (call(min(free), kind, name) for kind in kinds for name in on[kind])

    def steps(state: channels.State) -> Iterator[tuple[Deed, channels.State]]:
        for action, op, after in channels.steps(state):
            yield (op, action.name, ", ".join(action.guards)), after
        for event in events(state):
            called = channels.Operation(event.op, event.kind, event.on, event.value)
            for after in channels.see(state, event):
                yield (called if event.what == "call" else state.operation(event.op), "", ""), after

    return steps


JOINING, CLOSING, CLOSING_ALL = "an endpoint joins", "an endpoint closes", "close() of the channel"
SO_THAT = {True: ", and both\nsides are connected", False: ", and not both\nsides are connected"}
RULES_OF_PHASES = {
    ("initiation", "initiation", JOINING): "CH-1.2",
    ("initiation", "initiation", CLOSING): "CH-1.5",
    ("initiation", "open", JOINING): "CH-1.2",
    ("initiation", "closed", CLOSING_ALL): "CH-1.4",
    ("open", "open", JOINING): "CH-1.3b",
    ("open", "open", CLOSING): "CH-1.3b",
    ("open", "closed", CLOSING): "CH-1.3a",
    ("open", "closed", CLOSING_ALL): "CH-1.4",
}


def channel_states() -> str:
    """The states that users see of a channel."""
    (first,) = channels.initial(0)
    found = {
        (before.phase, after.phase, doing(op), after.complete)
        for before, (op, _, _), after in explored(Machine((first,), using((*JOINS, "close"), ("a", "b", "c", "d"), 1)))
        if before[:-1] != after[:-1]  # more has changed than the operations under way
    }
    assert {(before, after, what) for before, after, what, _ in found} == RULES_OF_PHASES.keys()
    ways = {("", first.phase, "Channel()\nCH-1.1a")}
    for before, after, what, both in found:
        either = {how for start, _, that, how in found if (start, that) == (before, what)}
        so_that = SO_THAT[both] if len(either) == 2 else ""
        ways.add((before, after, f"{what}{so_that}\n{RULES_OF_PHASES[before, after, what]}"))
    says = r"closed\nall endpoints are closed (CH-1.6),\nwhat is buffered can still be read (CH-4.2a)"
    return digraph((f'closed [label="{says}"]', "{rank=max; closed}"), ways)


def doing(op: channels.Operation) -> str:
    return JOINING if op.kind in JOINS else CLOSING_ALL if op.on == "channel" else CLOSING


OUTCOMES = {"return": "succeeded", "raise": "failed", CANCELLED: "given up"}
RULES_OF_ENDS = {("succeeded", "returns"): "even if it was\nasked to cancel\nCH-3.9a, CH-4.8a"}


def operation_states() -> str:
    """What sends and reads go through, from their calls to their ends."""
    (first,) = channels.initial(1)
    ways, although_asked = set[Way](), set[tuple[str, str]]()
    for before, (op, name, rules), after in explored(
        Machine((first,), using((*JOINS, "send", *READS, "close"), ("a", "b"), 2))
    ):
        was, now = node(before, op), node(after, op) or end(op)
        if op.kind in ("send", *READS) and was != now:
            ways.add((was, now, f"{name}\n{rules}" if name else RULES_OF_ENDS.get((was, now), "")))
            although_asked |= {(was, now)} if op.cancel_requested else set()
    assert although_asked >= RULES_OF_ENDS.keys()
    ends = {now for was, now, _ in ways if was in OUTCOMES.values() and now not in OUTCOMES.values()}
    return digraph(tuple(f'"{now}" [class=end]' for now in sorted(ends)), ways)


def node(state: channels.State, op: channels.Operation) -> str:
    """What an operation is in; "" before its call and after its end."""
    found = [each for each in state.operations if each.number == op.number]
    if not found:
        return ""
    outcome = found[0].outcome
    return OUTCOMES.get(str(outcome.value), OUTCOMES[outcome.what]) if outcome else "waiting"


def end(op: channels.Operation) -> str:
    return f"raises {op.outcome.value}" if op.outcome and op.outcome.what == "raise" else "returns"


# --------------------------------------------------------------------------------------------------------------- services


def service_states() -> str:
    """The states that users see of a service; it has a dependency here, and is stopped with it."""
    rules = {action.name: ", ".join(action.rules) for action in ACTIONS}
    ways = {("", STOPPED, "Service()\nSV-1.1b")}
    for before, label, after in explored(bounded(World(((), (0,))), ACTIONS)):
        for s, (was, now) in enumerate(zip(before.services, after.services, strict=True)):
            if was.phase != now.phase:
                own = f"{label.action}: {rules[label.action]}"
                ways.add((was.phase, now.phase, own if s == label.service else "its dependency stops: SV-4.5"))
    return digraph((), ways)
