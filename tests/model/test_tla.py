"""The channel is stated twice, in Python and in TLA+, each from the text alone; within bounds, both have the same graph.

The bounds are the files in `specs/bounds`.
"""

from functools import cache
from pathlib import Path

import pytest
from closed_world import NAMES, SPECS, Model, differences, in_python, read_bounds
from tlc import Fault, in_tla, run_tlc

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.machine import Action

BOUNDS = sorted(path.stem for path in (SPECS / "bounds").glob("*.cfg"))
SMALLEST = "a-line"
WITH_PROPERTIES = "properties"

pytestmark = pytest.mark.exhaustive


@cache
def python_model(name: str) -> Model:
    return in_python(read_bounds(name))


@pytest.mark.parametrize("name", BOUNDS)
def test_the_graphs_are_equal(name: str, tmp_path: Path) -> None:
    """Both statements of the channel have the same states, and the same steps between them."""
    tla = in_tla(name, tmp_path)
    python = python_model(name)
    assert not differences(python, tla, "TLA+")[:3]
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
    found = differences(in_python(read_bounds(SMALLEST)), tla, "TLA+")
    assert any(line.startswith(f"Python alone has {NAMES[action.name]} of ") for line in found)


FAULTS = {
    "Join": Fault('/\\ state # "closed" ', "/\\ TRUE "),
    "Commit": Fault("\\A s \\in Connected \\cap Subscribers : ~Full(s)", "TRUE"),
    "Take": Fault("/\\ buffer[s] # <<>>", '/\\ buffer[s] # <<>> /\\ endpoint[s] = "connected"'),
    "Fail": Fault("Cardinality(Ahead(o, reads[s])) >= Len", "Cardinality(Ahead(o, reads[s])) > Len"),
    "GiveUp": Fault('op[o] \\in {"waiting", "failed"}', 'op[o] \\in {"waiting", "failed", "succeeded"}'),
    "Close": Fault('IF state = "open" /\\', 'IF state # "closed" /\\'),
}


@pytest.mark.parametrize("action", FAULTS)
def test_a_changed_guard_in_tla_is_found(action: str, tmp_path: Path) -> None:
    """With one guard changed in TLA+, the first edge that the two do not share is one of that action."""
    found = differences(python_model(SMALLEST), in_tla(SMALLEST, tmp_path, FAULTS[action]), "TLA+")
    assert any(f"alone has {action} of " in line for line in found)


BREAKS = {
    "Invariant Bounded is violated": FAULTS["Commit"],
    "Invariant ClosedMeansAll is violated": FAULTS["Join"],
    "Invariant Rest is violated": Fault('o \\in Sends /\\ endpoint[o[1]] = "closed"', "FALSE"),
    "Temporal properties were violated": Fault("WF_vars(Step(o))", "TRUE"),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_tlc_finds_what_a_fault_breaks(broken: str, tmp_path: Path) -> None:
    """What TLC checks of the specification can fail."""
    assert broken in run_tlc(WITH_PROPERTIES, tmp_path, BREAKS[broken])


def test_what_is_made_equal_makes_no_difference() -> None:
    """The machine, explored with every order of its operations kept apart, has the same graph once they are made equal."""
    assert in_python(read_bounds(SMALLEST), lambda state: state) == python_model(SMALLEST)
