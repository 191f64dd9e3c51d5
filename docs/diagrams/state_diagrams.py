"""The diagrams of states, as Graphviz's DOT: what exploring the machines of channels and services finds, within small bounds.

The ways between states, what leads along each, and the rules of guards come from the machines. A few words are by hand, and so are
the rules that the machine of channels keeps in effects.
"""

from collections.abc import Hashable, Iterator
from itertools import chain
from typing import TypeVar

from aioservicekit_model.channel import machine as channels
from aioservicekit_model.channel.history import CANCELLED, JOINS, READS
from aioservicekit_model.channel.world import Bounds, Label, channel, closed_world
from aioservicekit_model.explorer import Machine, explore
from aioservicekit_model.service import ACTIONS, BLOCKS, POLICIES
from aioservicekit_model.service.properties import bounded
from aioservicekit_model.service.state import STOPPED, World

__all__ = ["channel_states", "operation_states", "service_states"]

Way = tuple[str, str, str]  # from a node, to a node, and by what


State = TypeVar("State", bound=Hashable)
Step = TypeVar("Step", bound=Hashable)


def explored(machine: Machine[State, Step]) -> Iterator[tuple[State, Step, State]]:
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


def used(bounds: Bounds) -> Iterator[tuple[channels.State, Label, channels.State]]:
    """Every step of a channel and its users."""
    for before, label, after in explored(closed_world(channels, bounds)):
        yield channel(before), label, channel(after)


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
        (before.phase, after.phase, doing(label), after.complete)
        for before, label, after in used(Bounds(publishers=2, sizes=(None, None), messages=0))
        if label.kind in (*JOINS, "close") and before[:-1] != after[:-1]  # more than the operations under way
    }
    assert {(before, after, what) for before, after, what, _ in found} == RULES_OF_PHASES.keys()
    ways = {("", first.phase, "Channel()\nCH-1.1a")}
    for before, after, what, both in found:
        either = {how for start, _, that, how in found if (start, that) == (before, what)}
        so_that = SO_THAT[both] if len(either) == 2 else ""
        ways.add((before, after, f"{what}{so_that}\n{RULES_OF_PHASES[before, after, what]}"))
    says = r"closed\nall endpoints are closed (CH-1.6),\nwhat is buffered can still be read (CH-4.2a)"
    return digraph((f'closed [label="{says}"]', "{rank=max; closed}"), ways)


def doing(label: Label) -> str:
    return JOINING if label.kind in JOINS else CLOSING_ALL if label.on == "channel" else CLOSING


OUTCOMES = {"return": "succeeded", "raise": "failed", CANCELLED: "given up"}
RULES_OF_ENDS = {("succeeded", "returns"): "even if it was\nasked to cancel\nCH-3.9a, CH-4.8a"}


def operation_states() -> str:
    """What sends and reads go through, from their calls to their ends."""
    rules = {action.name: f"{action.name}\n{', '.join(action.guards)}" for action in channels.ACTIONS}
    ways, although_asked = set[Way](), set[tuple[str, str]]()
    for iterating in (False, True):
        for before, label, after in used(Bounds(cancellations=1, joined=True, iterating=iterating, reduced=False)):
            was, now = node(before, label), node(after, label) or end(label)
            if label.kind in ("send", *READS) and was != now:
                ways.add((was, now, rules.get(label.step, RULES_OF_ENDS.get((was, now), ""))))
                asked = any(op.number == label.number and op.cancel_requested for op in before.operations)
                although_asked |= {(was, now)} if asked else set()
    assert although_asked >= RULES_OF_ENDS.keys()
    ends = {now for was, now, _ in ways if was in OUTCOMES.values() and now not in OUTCOMES.values()}
    return digraph(tuple(f'"{now}" [class=end]' for now in sorted(ends)), ways)


def node(state: channels.State, label: Label) -> str:
    """What an operation is in; "" before its call and after its end."""
    found = [each for each in state.operations if each.number == label.number]
    if not found:
        return ""
    outcome = found[0].outcome
    return OUTCOMES.get(str(outcome.value), OUTCOMES[outcome.what]) if outcome else "waiting"


def end(label: Label) -> str:
    return f"raises {label.ending[1]}" if label.ending and label.ending[0] == "raise" else "returns"


# --------------------------------------------------------------------------------------------------------------- services


def service_states() -> str:
    """The states that users see of a service; it has a dependency here, and is stopped with it."""
    rules = {action.name: ", ".join(action.rules) for action in ACTIONS}
    ways = {("", STOPPED, "Service()\nSV-1.1b")}
    pair = World(((), (0,)))
    without_blocks, without_policies = (
        tuple(action for action in ACTIONS if action not in left_out) for left_out in (BLOCKS, POLICIES)
    )  # both together have many states, and no other ways
    for before, label, after in chain(*(explored(bounded(pair, each)) for each in (without_blocks, without_policies))):
        for s, (was, now) in enumerate(zip(before.services, after.services, strict=True)):
            if was.phase != now.phase:
                own = f"{label.action}: {rules[label.action]}"
                ways.add((was.phase, now.phase, own if s == label.service else "its dependency stops: SV-4.5"))
    return digraph((), ways)
