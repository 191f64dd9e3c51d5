"""A closed world of users around the channel's machine in Python, within bounds that a configuration of TLC states.

Steps that change nothing are left out. What no rule looks at is made equal: the order of operations that are in no line
together, and the order in which endpoints joined.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.history import Event
from aioservicekit_model.channel.machine import Operation, State
from aioservicekit_model.explorer import Machine, explore

SPECS = Path(__file__).parents[2] / "specs"


class Bounds(NamedTuple):
    """Every endpoint joins once, and sends or reads so many times; so many operations are asked to cancel."""

    publishers: list[str]
    sizes: dict[str, int]  # of the subscribers
    sends: int
    reads: int
    cancellations: int

    @property
    def operations(self) -> dict[int, Operation]:
        """By number. The operations of an endpoint begin with its join, and have numbers that follow each other."""
        plan = [("connect", p, None) for p in self.publishers] + [("subscribe", s, n) for s, n in self.sizes.items()]
        operations: list[Operation] = []
        for kind, on, size in plan:
            operations.append(Operation(len(operations), kind, on, size))
            for _ in range(self.sends if kind == "connect" else self.reads):
                number = len(operations)
                operations.append(
                    Operation(number, "send", on, number) if kind == "connect" else Operation(number, "read", on, None)
                )
        return dict(enumerate(operations))


class World(NamedTuple):
    state: State
    uncalled: frozenset[int]
    requests: int  # how many more operations will be asked to cancel


class Label(NamedTuple):
    action: str
    operation: int | None = None  # None: a closing, of which only the effect is told


class Edge(NamedTuple):
    before: World
    label: Label
    after: World


class Model(NamedTuple):
    states: set[World]
    edges: set[Edge]


def read_bounds(name: str) -> Bounds:
    text = (SPECS / "bounds" / f"{name}.cfg").read_text()
    value = dict(re.findall(r"^ +(\w+) = (.*)$", text, re.MULTILINE))
    names = {constant: re.findall(r"\w+", value[constant]) for constant in value}
    sizes = {s: 1 if s in names["SizeOne"] else 2 if s in names["SizeTwo"] else 0 for s in names["Subscribers"]}
    return Bounds(
        names["Publishers"], sizes, int(value["SendsEach"]), int(value["ReadsEach"]), int(value["Cancellations"])
    )


def normal(state: State) -> State:
    """The same state with a fixed order of all that is in no line."""

    def key(op: Operation) -> tuple[str, str, int]:
        if op.outcome is None and op.kind == "read":
            return "read", op.on, 0
        if op.outcome is None and op.kind == "send" and (op.on, True) in state.publishers:
            return "send", "", 0
        return "", "", op.number

    return state._replace(
        publishers=tuple(sorted(state.publishers)),
        subscribers=tuple(sorted(state.subscribers)),
        operations=tuple(sorted(state.operations, key=key)),
    )


NAMES = {
    "join": "Join",
    "refuse": "Fail",
    "fail": "Fail",
    "run out": "Fail",
    "commit": "Commit",
    "take": "Take",
    "give up the join": "GiveUp",
    "give up the send": "GiveUp",
    "give up the read": "GiveUp",
}


def closed_world(bounds: Bounds, form: Callable[[State], State] = normal) -> Machine[World, Label]:
    operations = bounds.operations
    joins = {op.on: number for number, op in operations.items() if op.kind in ("connect", "subscribe")}

    def closings(state: State, name: str) -> Iterator[State]:
        for called in machine.see(state, Event("call", -1, "close", name)):
            yield from machine.see(called, Event("return", -1))

    def is_with_its_user(world: World, name: str) -> bool:
        under_way = {op.number for op in world.state.operations}
        joined = {p for p, _ in world.state.publishers} | {s.name for s in world.state.subscribers}
        return name in joined and joins[name] not in under_way

    def steps(world: World) -> Iterator[tuple[Label, World]]:
        state, uncalled, requests = world
        for number in uncalled:
            _, kind, on, value, *_ = operations[number]
            if number == joins[on] or (number - 1 not in uncalled and is_with_its_user(world, on)):
                for after in machine.see(state, Event("call", number, kind, on, value)):
                    yield Label("Call", number), World(after, uncalled - {number}, requests)
        for op in state.operations:
            if requests and not op.cancel_requested:
                for after in machine.see(state, Event("cancel", op.number)):
                    yield Label("Cancel", op.number), World(after, uncalled, requests - 1)
            if op.outcome:
                for after in machine.see(state, Event(op.outcome.what, op.number, value=op.outcome.value)):
                    yield Label("End", op.number), world._replace(state=after)
        for action, op, after in machine.steps(state):
            yield Label(NAMES[action.name], op.number), world._replace(state=after)
        for name in (name for name in joins if is_with_its_user(world, name)):
            yield from ((Label("Close"), world._replace(state=after)) for after in closings(state, name))
        yield from ((Label("CloseChannel"), world._replace(state=after)) for after in closings(state, "channel"))

    def formed(world: World) -> Iterator[tuple[Label, World]]:
        return ((label, after._replace(state=form(after.state))) for label, after in steps(world))

    (first,) = machine.initial(0)
    return Machine((World(first, frozenset(operations), bounds.cancellations),), formed)


def in_python(bounds: Bounds, form: Callable[[State], State] = normal) -> Model:
    graph = explore(closed_world(bounds, form))
    states = [world._replace(state=normal(world.state)) for world in graph.states]
    edges = {
        Edge(before, graph.labels[by], states[after])
        for number, before in enumerate(states)
        for by, after in graph.steps(number)
    }
    return Model(set(states), {edge for edge in edges if edge.before != edge.after})


def differences(python: Model, other: Model, its_name: str) -> list[str]:
    """Edges that only one of the two has, from states that both have; then states, if there are no such edges."""
    both = python.states & other.states
    found = [
        f"{name} alone has {edge.label.action} of {edge.label.operation}: from {edge.before} to {edge.after}"
        for name, edges in (("Python", python.edges - other.edges), (its_name, other.edges - python.edges))
        for edge in edges
        if edge.before in both
    ]
    return sorted(found, key=len) or [f"one alone has {state}" for state in python.states ^ other.states]
