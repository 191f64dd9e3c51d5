"""Everything within bounds is tried on the real channel, and what only a rare schedule shows is found with certainty."""

import asyncio
import gc
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from weakref import WeakKeyDictionary, WeakSet

import pytest
from channels import DEFECTS, SOUND
from channels.plain import PlainChannel
from rare_defects import RARE
from test_channels import BLAMED_ELSEWHERE

from aioservicekit import channels
from aioservicekit_conformance.exhaustive import walk as walking
from aioservicekit_conformance.exhaustive.edges import Edge, edges_of, kind_of, shown, taken
from aioservicekit_conformance.exhaustive.everything import exhaust
from aioservicekit_conformance.exhaustive.fingerprint import Fingerprints
from aioservicekit_conformance.exhaustive.scopes import SCOPES, Scope, text
from aioservicekit_conformance.exhaustive.walk import Walk, walk
from aioservicekit_conformance.exploring.explorer import Exploration
from aioservicekit_conformance.judging import judge
from aioservicekit_conformance.report.failure_file import read
from aioservicekit_conformance.running.case import Case, replay
from aioservicekit_conformance.target import Target, describe, load
from aioservicekit_model.channel.blame import blame
from aioservicekit_model.channel.history import Event
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE
from aioservicekit_model.channel.world import Bounds
from aioservicekit_model.rules import RULES

pytestmark = pytest.mark.filterwarnings("ignore")  # endpoints are left open

PAIR = Scope(Bounds(joined=True, cancellations=1))
SMALL = Scope(Bounds(joined=True, closings=False, cancellations=1), counted=True)
LINE = Scope(Bounds(messages=2, waiting=2, cancellations=1, joined=True, closings=False))


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What the walks leave over is gone before anything else runs."""
    yield
    gc.collect()


def reference() -> Target:
    return load("aioservicekit")


def first_refused(target: Target, scopes: Iterable[Scope]) -> Case | None:
    """The first case that is refused."""
    cases: list[Case] = []

    def failed(case: Case) -> bool:
        cases.append(case)
        return True

    for scope in scopes:
        walk(target, scope, failed)
        if cases:
            return replay(target, cases[0].default_size, cases[0].actions)
    return None


def histories(walked: Walk) -> set[tuple[Event, ...]]:
    """What can be seen on each way to where nobody can do anything more."""
    steps: dict[int, list[tuple[int, tuple[Event, ...]]]] = {}
    for step in walked.steps:
        steps.setdefault(step.before, []).append((step.after, step.events))
    found: set[tuple[Event, ...]] = set()
    left: deque[tuple[int, tuple[Event, ...]]] = deque([(0, ())])
    while left:
        number, history = left.pop()
        if number not in steps:
            found.add(history)
        left.extend((after, history + events) for after, events in steps.get(number, ()))
    return found


# Without pruning, channels that poll or have timers never come to an end.
UNTIMED = "restless", "unhurried", "condition", "handing", "log", "arbiter"


@pytest.mark.parametrize(
    "name", ["aioservicekit", "plain", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in UNTIMED)]
)
def test_pruning_loses_no_history(name: str) -> None:
    """Whether states that were seen before are left again or not, the same histories come about, and no others."""
    target = reference() if name == "aioservicekit" else describe(name, SOUND[name])
    scope = PAIR._replace(calls=3 if name in ("aioservicekit", "plain") else 2)
    pruned = walk(target, scope, unexpected)
    unpruned = walk(target, scope, unexpected, pruned=False)
    assert histories(pruned) == histories(unpruned)
    assert not unpruned.stopped
    assert len(pruned.nodes) < len(unpruned.nodes)


def unexpected(case: Case) -> NoReturn:
    pytest.fail(f"refused: {case.actions} {case.history[-1]} {case.escaped}")


def test_a_late_cancellation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that is wrong only if a task is cancelled between its completion and its resumption is refused (CH-3.8, CH-4.5)."""

    def raise_it(task: object, heard: int, error: asyncio.CancelledError) -> NoReturn:
        raise error

    monkeypatch.setattr(channels, "cancel_later", raise_it)
    case = first_refused(reference(), [LINE])
    assert case is not None
    assert case.refused is not None
    actions = case.actions
    late = next(number for number, action in enumerate(actions) if action.what == "cancel")
    assert actions[late - 1].after == 0
    assert len(actions) <= 7


def test_edges_are_shown_or_are_freedom() -> None:
    """Each edge of the machine is shown by the reference, or counted as freedom that it does not use."""
    walked = walk(reference(), SMALL, unexpected)
    found = shown(walked, SMALL.bounds)
    assert 0 < found.shown < found.edges == len(edges_of(SMALL.bounds))
    assert found.shown + found.others.total() == found.edges


def test_less_walked_shows_less() -> None:
    """What is not run is not shown."""
    walked = walk(reference(), SMALL, unexpected)
    less = walk(reference(), SMALL._replace(calls=1), unexpected)
    assert shown(less, SMALL.bounds).shown < shown(walked, SMALL.bounds).shown


# What the library doesn't do and the rules permit, some of these do: they take their time, before an effect or after it.
LEISURELY = "unhurried", "arbiter", "late_sends"


def test_every_edge_is_shown_by_a_sound_channel() -> None:
    """The model permits nothing that no channel does: some sound channel shows each of its edges."""
    targets = [reference(), *(describe(name, SOUND[name]) for name in LEISURELY)]
    found: set[Edge] = set()
    for target in targets:
        edges = taken(walk(target, SMALL, unexpected)) - found
        assert edges, f"{target.name} shows nothing that the others don't"
        found |= edges
    assert found >= edges_of(SMALL.bounds)


@pytest.mark.exhaustive
def test_every_kind_of_freedom_is_used() -> None:
    """With closings the model has far more edges; of each kind that the library does not show, a sound channel shows some."""
    scope = Scope(Bounds(joined=True))
    edges = edges_of(scope.bounds)
    by_library, by_other = (
        taken(walk(target, scope, unexpected)) for target in (reference(), describe("unhurried", SOUND["unhurried"]))
    )
    assert {*map(kind_of, edges - by_library)} == {*map(kind_of, edges & by_other - by_library)}


def test_a_loop_that_never_rests_is_judged_as_if_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that comes again and again leads back to the same state; what is overdue there is refused (CH-4.6)."""
    monkeypatch.setattr(PlainChannel, "_wake_reader", lambda channel, subscriber: None)
    case = first_refused(describe("busy", SOUND["busy"]), [SMALL])
    assert case is not None
    assert "CH-4.6" in blame(case.default_size, case.history)


def test_what_was_exhausted_is_told() -> None:
    """One line has the bound, the states, the runs and the edges; the rules that something could have broken are counted."""
    exploration = Exploration()
    (found,) = exhaust(reference(), exploration, within=[SMALL])
    assert re.fullmatch(
        "exhaustive for 1 publisher, 1 subscriber, size 1, 1 message, 1 cancellation:"
        r" \d+ states of the target, \d+ runs; \d+ of the machine's 114 edges, the others by other implementations only",
        str(found),
    )
    assert not exploration.failures
    assert exploration.exercised["CH-3.8"] > 0


def test_states_that_never_repeat_end_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that counts what it does is not called exhausted."""

    class Counting(channels.Channel[Any]):
        counted = 0

        async def close(self) -> None:
            self.counted += 1
            await super().close()

    monkeypatch.setattr(walking, "MOST_RUNS", 500)
    target = reference()._replace(channel=Counting)
    exploration = Exploration()
    (found,) = exhaust(target, exploration, within=[Scope(Bounds(joined=True))])
    assert found.stopped == "more states than 500 runs can visit"
    assert exploration.escapes[found.stopped] == 1
    assert "stopped for 1 publisher" in str(found)


def test_nothing_is_left_of_a_run() -> None:
    """What a run has made is gone before the next one. Otherwise large walks would slow down, and need much memory."""
    there: WeakSet[channels.Channel[Any]] = WeakSet()

    class Noted(channels.Channel[Any]):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            there.add(self)

    left: list[int] = []
    walked = walk(reference()._replace(channel=Noted), SMALL, unexpected, progress=lambda *_: left.append(len(there)))
    assert set(left) == {0}
    assert len(left) == len(walked.nodes)


@pytest.mark.exhaustive
def test_the_reference_conforms_with_certainty_within_bounds() -> None:
    """Every rule of CH-1 to CH-5 is exercised within the bounds and holds, and the report names each of them."""
    report = judge(reference(), frozenset(RULES), 1, 0, exhaustive=True)
    assert report.conforms, [(v.rule, v.verdict, v.evidence) for v in report.verdicts if v.verdict != "pass"]
    *exhausted, freedom = report.exhausted
    assert [line.split(":")[0] for line in exhausted] == [f"exhaustive for {text(scope)}" for scope in SCOPES]
    assert "an operation waits that could go on" in freedom


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", RARE)
def test_a_rare_defect_is_found(name: str) -> None:
    """Defects that were labelled beforehand are refused, and the rule of their label is blamed."""
    rule, channel = RARE[name]
    case = first_refused(describe(name, channel), SCOPES)
    assert case is not None
    assert rule in blame(case.default_size, case.history)


# What no scope can show, because users do no such thing there. Named checks refuse these, in the exhaustive mode too.
NOT_SHOWN = {
    "registers_the_refused": "nothing comes of an endpoint of a closed channel that nobody has",
    "needs_a_loop": "every case builds its channel inside a running loop",
    "iteration_ends_at_none": "no message of a case is None",
    "none_is_no_message": "no message of a case is None",
    "none_is_an_empty_buffer": "no message of a case is None",
    "shares_equal_messages": "messages of cases, which are all equal, are not hashable",
    "none_is_not_sent": "no message of a case is None",
    "reads_in_line_fail_once_closed": "it takes five calls, and the scope with closings and unbounded buffers has four",
    "blocks_drop_messages": "no case has a block",
    "iteration_looks_ahead": "scopes with `async for` have one message",
    "numbers_publishers_again": "in no scope does a publisher join after another has closed, beside a third",
    "numbers_subscribers_again": "in no scope does a subscriber join after another has closed, beside a third",
}
# What each of the larger scopes is there for. The smaller ones show all other defects, and are quick enough to be walked for each.
SHOWN_BY = {
    12: ["looks_at_the_first_two", "looks_at_the_last_two", "looks_at_both_ends"],
    13: ["looks_at_the_smallest", "looks_at_the_largest", "orders_differ"],
    14: ["connecting_waits_for_sends"],
    15: ["replays_the_last", "replays_all", "fixes_the_receivers_at_the_call", "subscribing_waits_for_room"],
    16: ["woken_senders_dont_look_again"],
    19: ["closing_loses_the_oldest"],
    20: [
        "closes_with_any_publisher",
        "second_close_counts_again",
        "closing_fails_the_sends_of_others",
        "closing_leaves_own_sends_asleep",
        "closing_leaves_sends_asleep",
        "woken_sends_look_for_room_first",
        "woken_sends_forget_their_publisher",
        "closing_delivers_to_some",
        "closing_cancels_sends",
        "closes_every_second_endpoint",
    ],
    22: [
        "closes_with_any_subscriber",
        "closing_wakes_one_read",
        "closing_wakes_one_send",
        "closing_a_subscriber_wakes_nobody",
        "closed_subscribers_hold_back",
    ],
    23: ["reads_of_the_closed_make_room"],
    25: ["closing_fails_one_own_send"],
    26: ["failed_sends_wake_nobody"],
}
LARGE = {name: SCOPES[number] for number, names in SHOWN_BY.items() for name in names}
SHOWN = [name for name, defect in DEFECTS.items() if defect.rule in RULES_OF_THE_MACHINE and name not in NOT_SHOWN]


@pytest.mark.defects
@pytest.mark.parametrize("name", SHOWN)
def test_a_planted_defect_is_found(name: str) -> None:
    """Each planted defect that a scope can show is refused, with certainty, and its rule explains the first refused history."""
    scopes = [LARGE[name]] if name in LARGE else SCOPES[: min(SHOWN_BY)]
    case = first_refused(describe(name, DEFECTS[name].target), scopes)
    assert case is not None, DEFECTS[name].why
    if name not in BLAMED_ELSEWHERE:
        assert DEFECTS[name].rule in blame(case.default_size, case.history)


def test_the_listed_defects_exist() -> None:
    """What is listed is planted."""
    assert NOT_SHOWN.keys() | LARGE.keys() <= DEFECTS.keys()


@pytest.mark.exhaustive
def test_a_failure_is_kept_and_replays(tmp_path: Path) -> None:
    """A defect that is found exhaustively has a verdict, a history, a program and a file, as any other."""
    name = "cancelled_reads_lose_the_message"
    report = judge(describe(name, DEFECTS[name].target), frozenset(RULES), 1, 0, exhaustive=True)
    (verdict,) = (verdict for verdict in report.verdicts if verdict.verdict == "fail")
    assert verdict.rule == "CH-4.5"
    assert verdict.history
    assert verdict.program
    (tmp_path / "kept.txt").write_text(verdict.replay)
    kept = read(tmp_path / "kept.txt")
    assert replay(describe(name, DEFECTS[name].target), kept.default_size, kept.actions).refused is not None


def test_scopes_are_put_into_words() -> None:
    """A report names each of the scopes."""
    assert text(SCOPES[-1]) == "2 publishers, 2 subscribers, sizes 1 and 2, 1 message each, 1 cancellation"
    assert text(SCOPES[16]).endswith(
        "4 messages, 0 cancellations, 2 operations of an endpoint at once, 1 subscriber late, any 8 calls"
    )
    assert len({text(scope) for scope in SCOPES}) == len(SCOPES)


# ------------------------------------------------------------------------------------------------------------ fingerprints


class Slotted:
    __slots__ = ("__hidden", "__weakref__", "seen")

    def __init__(self, hidden: object) -> None:
        self.__hidden = hidden


def fingerprint(*roots: object) -> bytes:
    return FINGERPRINTS.of(roots, 0.0)


FINGERPRINTS = Fingerprints(lambda thing: None)
counted: list[int] = []
weak: "WeakKeyDictionary[object, int]" = WeakKeyDictionary()


def counting() -> int:
    return len(counted) + len(weak)


def iterator(position: int) -> Iterator[int]:
    steps = iter([1, 2, 3])
    for _ in range(position):
        next(steps)
    return steps


def suspended(position: int) -> Any:
    def generator() -> Iterator[int]:
        yield from [1, 1, 1]

    steps = generator()
    for _ in range(position):
        next(steps)
    return steps


shared: list[int] = []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], [2, 1]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([shared, shared], [[], []]),
        (Slotted(1), Slotted(2)),
        (SimpleNamespace(a=1), SimpleNamespace(a=True)),
        (iterator(0), iterator(1)),
        (suspended(1), suspended(2)),
        (suspended(0), suspended(1)),
        (lambda n=1: n, lambda n=2: n),
        (deque([1]), deque([1, 1])),
        (Counter(a=1), Counter(a=2)),
        ({1, 2}, {1, 3}),
        (ValueError(1), ValueError(2)),
        ([].append, [1].append),
    ],
)
def test_what_differs_has_another_fingerprint(one: object, other: object) -> None:
    """Contents, order, identity and positions count."""
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


@pytest.mark.parametrize(
    "make", [lambda: [object(), {1, 2}], lambda: Slotted([]), lambda: suspended(2), lambda: {object()}]
)
def test_addresses_dont_count(make: Any) -> None:
    """Equal structures have the same fingerprint."""
    assert fingerprint(first := make()) == fingerprint(make())
    assert first is not None


def test_global_variables_of_functions_count() -> None:
    """What a function finds in a global variable is a part of it; what is held weakly is if it is reached elsewhere too."""
    key, unreached = Slotted(1), Slotted(2)
    before = fingerprint(counting, key)
    weak[unreached] = 1
    assert fingerprint(counting, key) == before
    weak[key] = 1
    assert fingerprint(counting, key) != before
    weak.clear()
    counted.append(1)
    assert fingerprint(counting, key) != before
    counted.clear()
