"""Cases are drawn by the seed alone, whatever the target does, and refused ones become short."""

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from channels import DEFECTS, SOUND
from channels import Target as Subject
from channels.plain import ChannelClosedError, ChannelState, PlainChannel, PlainSubscriber
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from aioservicekit._core import Core
from aioservicekit_conformance.exploring.explorer import STEPS, Exploration, explore
from aioservicekit_conformance.exploring.failures import SHORT, Failure, Failures, shortest
from aioservicekit_conformance.exploring.scripts import SCRIPTS, parse
from aioservicekit_conformance.exploring.state_machine import channel_machine
from aioservicekit_conformance.running.case import Action, Case, replay
from aioservicekit_conformance.target import Target, describe, load
from aioservicekit_model.channel.blame import blame, explains, given_up
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE

PLAIN = describe("plain", SOUND["plain"])


class Drawn(Exploration):
    """Keeps the actions of each drawn case."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[tuple[int, list[Action]]] = []

    def add(self, case: Case, *, script: bool = False) -> None:
        super().add(case, script=script)
        if not script:
            self.actions.append((case.default_size, case.actions))


def drawn(target: Target, seed: int) -> list[tuple[int, list[Action]]]:
    exploration = Drawn()
    explore(target, 50, seed, exploration=exploration)
    return exploration.actions


def test_the_same_seed_draws_the_same_cases() -> None:
    """Cases depend on the seed, and on nothing that differs from run to run."""
    assert drawn(PLAIN, 1) == drawn(PLAIN, 1)
    assert drawn(PLAIN, 1) != drawn(PLAIN, 2)


def test_as_many_cases_are_drawn_as_were_asked_for() -> None:
    """The scripts come first, and are not counted."""
    told: list[tuple[int, int]] = []
    exploration = explore(PLAIN, 50, 0, lambda cases, total: told.append((cases, total)))
    assert exploration.cases == len(SCRIPTS) + 50
    assert told == [*((number, 50) for number in range(1, 51)), (50, 50)]


def test_a_target_may_behave_differently_each_time() -> None:
    """What is drawn does not depend on what the target does, so Hypothesis never finds the machine inconsistent."""
    made = count()

    async def wait_for_ever(**size: int) -> None:
        await asyncio.get_running_loop().create_future()

    def channel(size: int) -> object:
        deaf = SimpleNamespace(
            state=ChannelState.initiation, subscribe=wait_for_ever, connect=wait_for_ever, close=wait_for_ever
        )
        return deaf if next(made) % 2 else PLAIN.channel(size)

    cases: list[Case] = []
    fickle = channel_machine(PLAIN._replace(channel=channel), cases.append)
    options = settings(
        max_examples=300, stateful_step_count=STEPS, phases=[Phase.generate], database=None, deadline=None
    )
    run_state_machine_as_test(seed(0)(fickle), settings=options)  # type: ignore[arg-type]  # a factory will do
    assert len(cases) >= 300


def test_a_refused_case_becomes_short() -> None:
    """The minimiser leaves out what has nothing to do with a failure, and what blames another rule as well stays out."""
    target = describe("losing", DEFECTS["cancelled_reads_lose_the_message"].target)
    actions = tuple(parse("p1 s1=2 s2=3 p2 /p2 s1? s2? s1*.1 p1!.0 x6.2 s2? p1! s2? s1? p2! s1?"))
    case = shortest(target, Failure(1, actions, frozenset({"CH-2.4", "CH-3.1", "CH-4.5"}), len(actions)), "CH-4.5")
    assert case.steps == 6
    assert [action.op for action in case.actions if action.what != "cancel"] == [1, 2, 3, 4, 5]
    assert "CH-4.5" in blame(case.default_size, case.history)


LOOKED_AT = {
    "all but the last": slice(None, -1),
    "all but the first": slice(1, None),
    "the first": slice(None, 1),
    "the last": slice(-1, None),
    "both ends": slice(None, None, 2),
}


@pytest.mark.parametrize("some", LOOKED_AT)
def test_looking_at_some_subscribers_is_no_mistake_in_their_sizes(some: str) -> None:
    """Some script shows that the subscriber not looked at has its size: CH-2.2 does not explain what it gets, and CH-3.2 does."""

    class LooksAtSome(PlainChannel[Any]):
        def _room(self) -> bool:
            return not any(map(self._full, self._subscribers[LOOKED_AT[some]]))

    target = describe("some", Subject(LooksAtSome))
    cases = [replay(target, size, parse(script)) for size, script in SCRIPTS if len(parse(script)) <= SHORT]
    refused = [case for case in cases if case.refused is not None]
    explained = [{rule for rule in ("CH-2.2", "CH-3.2") if explains(c.default_size, c.history, rule)} for c in refused]
    assert {"CH-3.2"} in explained
    assert {"CH-2.2"} not in explained


class UnboundedMeansTwelve(PlainChannel[Any]):
    def _full(self, subscriber: PlainSubscriber[Any]) -> bool:
        return len(subscriber.backlog) >= (subscriber.size or 12)


def test_a_certain_explanation_comes_before_one_that_was_given_up() -> None:
    """A send that waits beside an unbounded subscriber breaks CH-3.4, though other rules take too long to be ruled out."""
    case = replay(describe("twelve", Subject(UnboundedMeansTwelve)), 0, parse("s1 p1" + " p1!" * 13))
    failures = Failures(RULES_OF_THE_MACHINE)
    failures.add(case)
    assert given_up(0, case.history, "CH-2.4")
    assert failures.blamed() == ("CH-3.4",)


class EverySecondIsLate(PlainChannel[Any]):
    """Each other message reaches all but the first subscriber one turn later."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._late = False

    def _commit(self, message: Any) -> None:
        self._late = not self._late
        for subscriber in self._subscribers:
            if self._late and subscriber is not self._subscribers[0]:
                asyncio.get_running_loop().call_soon(self._hand, subscriber, message)
            else:
                self._hand(subscriber, message)

    def _hand(self, subscriber: PlainSubscriber[Any], message: Any) -> None:
        self._deliver(subscriber, message)
        self._wake_reader(subscriber)


def test_two_orders_are_seen_whatever_explains_the_rest() -> None:
    """Where two subscribers get two messages in different orders, CH-3.6 does not pass, though it can't explain the case."""
    case = replay(describe("late", Subject(EverySecondIsLate)), 1, parse("s1=0 s2 p1 p1!. p1!. s1? s1? s2? s2?"))
    failures = Failures(RULES_OF_THE_MACHINE)
    failures.add(case)
    assert "CH-3.6" not in blame(1, case.history)
    assert failures.blamed() == ("CH-2.4",)
    assert failures.masked()["CH-3.6"] == [*failures.blamed()]


def test_a_commit_inside_a_commit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that hands its message to a read, and commits the next one before it reaches the others, delivers in two orders."""
    hand = Core._hand

    def hand_and_commit_the_next(core: Core[Any], buffer: Any, message: Any, running: Any) -> bool:
        handed = hand(core, buffer, message, running)
        for send in list(core.sends.values())[1:2]:  # the first one is being committed
            if handed and not send.committed:
                send.committed = core.commit(send.message)
        return handed

    monkeypatch.setattr(Core, "_hand", hand_and_commit_the_next)
    size, script = 1, "s1 s2 p1 p1! s1? s1? p1! p1! s2? s2? s1? s2?"
    assert (size, script) in SCRIPTS
    case = replay(load("aioservicekit"), size, parse(script))
    assert blame(size, case.history) == {"CH-3.1"}
    failures = Failures(RULES_OF_THE_MACHINE)
    failures.add(case)
    assert "CH-3.6" in failures.masked()


def test_several_commits_at_once_reach_waiting_reads_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where room for several sends hands their messages to the waiting reads from the wrong end, a script shows it."""
    hand = Core._hand

    def hand_to_the_last(core: Core[Any], buffer: Any, message: Any, running: Any) -> bool:
        if core.sends:
            buffer.reads.reverse()
        return hand(core, buffer, message, running)

    monkeypatch.setattr(Core, "_hand", hand_to_the_last)
    size, script = 1, "s1 s2=0 p1 p1! s2? s2? s2? p1! p1! /s1"
    assert (size, script) in SCRIPTS
    case = replay(load("aioservicekit"), size, parse(script))
    assert {"CH-3.5", "CH-4.4"} <= blame(size, case.history)


class ThreeHear(PlainChannel[Any]):
    def _deliver(self, subscriber: PlainSubscriber[Any], message: Any) -> None:
        if subscriber in self._subscribers[:3]:
            super()._deliver(subscriber, message)


class FourMaySend(PlainChannel[Any]):
    def _require_connected(self, publisher: Any) -> None:
        super()._require_connected(publisher)
        if publisher in self._publishers[4:]:
            raise ChannelClosedError("too many publishers")


@pytest.mark.parametrize("channel", [ThreeHear, FourMaySend])
def test_some_cases_have_more_endpoints_than_are_drawn(channel: type[PlainChannel[Any]]) -> None:
    """What goes wrong with the fourth or fifth endpoint of a kind is refused."""
    target = describe("few", Subject(channel))
    assert any(replay(target, size, parse(script)).refused is not None for size, script in SCRIPTS if "s5" in script)
