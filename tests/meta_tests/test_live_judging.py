"""Live judging: real threads on a target, and a history that the model explains, or not."""

import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from channels import SOUND
from channels.live_defects import LIVE_DEFECTS, Edit, LiveDefect, edited
from channels.plain import ChannelState, PlainChannel
from channels.plain import Target as Offered
from channels.sound.timers import PollingChannel

import aioservicekit
from aioservicekit_conformance.cli import main
from aioservicekit_conformance.live import chaos, exploring, rest
from aioservicekit_conformance.live.chaos import Chaos
from aioservicekit_conformance.live.driver import perform
from aioservicekit_conformance.live.exploring import LiveExploration, explore_live, refused
from aioservicekit_conformance.live.judging import judge_live
from aioservicekit_conformance.live.lane import Lane, Shared
from aioservicekit_conformance.live.loops import LOOPS, Work
from aioservicekit_conformance.live.plan import HARDLY, Action, Plan, draw
from aioservicekit_conformance.live.situations import SHOWN_BY, SITUATIONS
from aioservicekit_conformance.target import describe
from aioservicekit_model.rules import RULES

RUNS = 1200  # a planted defect is found in so many runs, and usually in a twentieth of them
CERTAIN = {"future_of_another_loop", "lock_for_each_subscriber"}  # found in some ten runs


def test_the_reference_is_explained() -> None:
    """Each live run of the reference is explained, and none is given up (CH-6.1, CH-6.2, CH-6.3)."""
    exploration = LiveExploration()
    explore_live(describe("target", aioservicekit), 20, 0, lambda done, total: None, exploration)
    assert not (exploration.hung and exploration.hung.hung)
    assert (exploration.runs, exploration.refusals, exploration.given_up) == (20, [], 0)
    assert {name for name in SHOWN_BY.values() if name not in exploration.shown} <= {
        "a join is asked to cancel",  # the reference's never wait
        "a cancelled send returns",
        "a cancelled read returns",
        "a send that waited fails",
        "an endpoint closes before the other side joins",
        "a send with no subscriber",
        "a publisher closes while sends wait",
        "a subscriber closes while sends wait",
    }


def params() -> list[object]:
    rest = [pytest.param(name, marks=[pytest.mark.defects]) for name in LIVE_DEFECTS if name not in CERTAIN]
    return [*sorted(CERTAIN), *rest]


@pytest.mark.parametrize("name", params())
def test_a_planted_defect_is_refused(name: str) -> None:
    """Each defect that threads alone show is refused within a bounded number of runs, and the right rule is blamed."""
    defect: LiveDefect = LIVE_DEFECTS[name]
    exploration, target = LiveExploration(), describe("target", edited(name, defect))
    while exploration.runs < RUNS and not any(refusal.rules & defect.rules for refusal in exploration.refusals):
        exploration.add(perform(target, draw(0, exploration.runs)))
    assert exploration.runs < RUNS


LAST_FIRST = LiveDefect(
    frozenset({"CH-3.5"}),
    "The send that was called last commits first, whatever threads do.",
    (Edit("_core.py", "next(iter(self.sends.items()))", "next(reversed(self.sends.items()))"),),
)


def test_what_breaks_without_threads_is_blamed_on_its_own_rule() -> None:
    """Runs of a single thread tell which rule it is, and nobody can tell whether threads have a part in the others."""
    target = describe("target", edited("last_send_first", LAST_FIRST))
    report = judge_live(target, frozenset({"CH-3.5", "CH-6.1", "CH-6.3"}), 200, 0, lambda done, total: None)
    verdicts = {verdict.rule: verdict.verdict for verdict in report.verdicts}
    assert verdicts == {"CH-3.5": "fail", "CH-6.1": "masked", "CH-6.3": "masked"}


def test_few_runs_of_a_single_thread_pass_no_rule() -> None:
    """Beside what threads break, a rule passes only if a number of runs of a single thread could have broken it."""
    target = describe("target", edited("few", LIVE_DEFECTS["lock_for_each_subscriber"]))
    rules = frozenset({"CH-1.4", "CH-5.2", *(f"CH-6.{number}" for number in (1, 2, 3))})
    report = judge_live(target, rules, 200, 0, lambda done, total: None)
    verdicts = {verdict.rule: verdict for verdict in report.verdicts}
    assert verdicts["CH-1.4"].verdict == "pass"
    assert verdicts["CH-5.2"].verdict == "masked"
    assert "only" in verdicts["CH-5.2"].evidence


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_channel_is_explained(name: str) -> None:
    """Channels for a single loop, those that poll and those with timers among them, come to rest, and all is explained."""
    exploration, target = LiveExploration(), describe(name, SOUND[name])
    for plan in [plan for number in range(40) if (plan := draw(1, number)).threads == 1]:
        exploration.add(perform(target, plan))
    assert (exploration.runs, exploration.refusals, exploration.hung) == (10, [], None)


class Forgetful(PollingChannel):
    """It polls, and forgets to look again when there is room."""

    async def _wait_to_commit(self, ticket):  # type: ignore[no-untyped-def]
        if not self._may_commit(ticket):
            while not ticket.publisher.closed:  # noqa: ASYNC110
                await asyncio.sleep(0)
            self._require_connected(ticket.publisher)


def test_a_defect_of_what_polls_is_refused() -> None:
    """A send that polls, and does not see that there is room, is refused at rest, by the same definition of silence."""
    exploration, target = LiveExploration(), describe("target", Offered(Forgetful))
    for number in range(1, 100):
        if draw(1, number).threads == 1 and not exploration.refusals:
            exploration.add(perform(target, draw(1, number)))
    assert "CH-3.4" in exploration.refusals[0].rules


class Roundabout(PlainChannel[Any]):
    """Its sends return some time after they have committed."""

    async def _send(self, publisher, message):  # type: ignore[no-untyped-def]
        await super()._send(publisher, message)
        for _ in range(200):
            await asyncio.sleep(0)


def test_what_goes_on_by_many_steps_is_not_at_rest() -> None:
    """A long chain of callbacks, each of which calls the next one, is told from one that recurs without end."""
    joins, sends = (Action("subscribe"), Action("connect")), (Action("send"),)
    plan = Plan("asyncio", 0, ((joins,), (sends,)), 0, alone=False, seed=0)
    assert refused(perform(describe("target", Offered(Roundabout)), plan)) is None


class KeepsTheRefused(aioservicekit.Channel[Any]):
    """It remembers who may not join any more."""

    async def connect(self) -> Any:
        self.__dict__.setdefault("tried", []).append(object())
        return await super().connect()


def test_a_check_that_fails_hides_nothing_that_runs_show() -> None:
    """If each run is explained, what they could have broken passes, whatever a named check finds."""
    target = describe("target", aioservicekit)._replace(channel=KeepsTheRefused)
    report = judge_live(target, frozenset({"CH-1.4", "CH-2.1"}), 8, 0, lambda done, total: None)
    assert {verdict.rule: verdict.verdict for verdict in report.verdicts} == {"CH-1.4": "pass", "CH-2.1": "fail"}


class Hanging(PollingChannel):
    """Its `send` never lets go of the loop."""

    async def _send(self, publisher, message):  # type: ignore[no-untyped-def]
        stop.wait()


stop = threading.Event()


def test_a_run_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that does not let go of an event loop is a finding that names the line (CH-6.1)."""
    monkeypatch.setattr(rest, "PATIENCE", 0.5)
    try:
        plans = [draw(0, number) for number in range(20)]
        plan = next(plan for plan in plans if plan.does("send"))
        run = perform(describe("target", Offered(Hanging)), plan)
        assert Path(__file__).name in run.hung
    finally:
        stop.set()


def test_what_comes_too_late_for_a_closing_loop_is_not_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that has found a loop open schedules a callback when the loop has just closed: it never runs, and all is at rest."""
    work = Work()
    loop = LOOPS["asyncio"](work)
    monkeypatch.setattr(loop, "_check_closed", loop.close)
    loop.call_soon_threadsafe(print)
    assert not work.due


def test_time_passes_beside_a_loop_that_has_just_closed() -> None:
    """Its timers never fire, and those of the other loops do."""
    fired: list[str] = []
    shared = Shared(describe("target", aioservicekit), draw(0, 1))
    lanes = closed, open_ = Lane(shared, 1), Lane(shared, 2)
    for lane, name in zip(lanes, ("closed", "open"), strict=True):
        lane.loop = LOOPS["asyncio"](shared.work)
        lane.loop.call_later(1, fired.append, name)
    closed.loop.close()
    assert rest.Rest(shared, list(lanes), ()).let_time_pass()
    open_.end()
    open_.loop.run_forever()
    open_.loop.close()
    assert fired == ["open"]


class HalfClosed(PlainChannel[Any]):
    """Its first closing leaves the endpoints open; the second one closes them."""

    def _close_now(self, end):  # type: ignore[no-untyped-def]
        if end is self and self.state is not ChannelState.closed:
            self._state = ChannelState.closed
        else:
            super()._close_now(end)


def test_what_a_closing_leaves_open_is_not_mended_before_it_is_found() -> None:
    """The driver closes only a channel that is not closed yet, so it sees the endpoints as they were left (CH-1.6)."""
    plan = Plan("asyncio", 0, (((Action("subscribe"),),), ((Action("close"),),)), 0, alone=False, seed=0)
    found = refused(perform(describe("target", Offered(HalfClosed)), plan))
    assert found
    assert "CH-1.6" in found.rules


def test_in_some_runs_something_closes_in_the_middle_of_the_rest() -> None:
    """A thread closes something while others act, and some of these runs do nothing else before."""
    found = 0
    for plan in [draw(0, number) for number in range(100)]:
        third = [[each.what for each in actions] for actions in plan.bursts[2]]
        found += ["lurk", "close", "read", "read", "read"] in third
    assert found > 10


def test_in_some_runs_a_crowd_comes_and_goes() -> None:
    """In one run in ten all threads join at once, and all look on when one of their endpoints is left, and when none is."""
    crowds = [plan for plan in (draw(0, number) for number in range(100)) if plan.bursts[2] == plan.bursts[-1]]
    assert len(crowds) == 10
    for plan in crowds:
        joined, left, looks, last, _ = ([each.what for actions in burst for each in actions] for burst in plan.bursts)
        assert len(joined) >= plan.threads + 1
        assert len(left) == len(joined) - 2
        assert last == ["close"]
        assert looks == ["observe"] * plan.threads


def test_in_some_runs_two_threads_meet_at_a_small_buffer() -> None:
    """In one run in ten one thread pauses in a read or a send, another one acts then, and more sends and reads show what it did."""
    runs = [plan for plan in (draw(0, number) for number in range(100)) if plan.threads == 2 and plan.chaos == HARDLY]
    assert len(runs) == 10
    both = set()
    for plan in runs:
        assert plan.alone
        for (paused,), (lurk, *beside) in plan.bursts[2::4]:
            assert lurk.what == "lurk"
            both.add((paused.what, *(action.what for action in beside)))
    assert both == {("read", "send", "send"), ("send", "read", "read")}


def test_an_instruction_that_runs_often_has_few_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What polls is not slowed down by chaos: pauses come evenly over the target's code, and not over its time."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    def polls() -> None:
        for _ in range(10_000):
            pass

    if chaos.CRASHES:
        pytest.skip("there is no chaos on CPython 3.12")
    with Chaos(1.0, (0.001,), 0).here():
        polls()
    assert 100 < len(pauses) < 1_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_thread_that_only_others_wake_is_told_from_one_that_wakes_by_itself() -> None:
    """A thread that waits for a lock needs no long silence to count as silent, unless it waits with a timeout."""
    woken = threading.Event()
    blocked = threading.Thread(target=woken.wait, daemon=True)
    timed = threading.Thread(target=woken.wait, args=[3600], daemon=True)
    blocked.start()
    timed.start()
    assert any(rest._waits_for_others(blocked) for _ in range(1_000_000))
    assert not any(rest._waits_for_others(timed) for _ in range(1_000))
    woken.set()


def test_every_rule_of_the_machine_has_a_situation() -> None:
    """Each rule that live runs judge is in the table, with a situation that exists."""
    assert set(SHOWN_BY) <= set(RULES)
    assert set(SHOWN_BY.values()) <= set(SITUATIONS)
    assert {rule for rule in RULES if rule[:4] != "CH-7"} - set(SHOWN_BY) == {"CH-1.1", "CH-2.3", "CH-5.4"}


def test_a_failing_run_is_kept_and_judged_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--live --failures` keeps the history of a refused run, and `--replay` judges that history again."""
    monkeypatch.setattr(exploring, "ENOUGH", 1)
    monkeypatch.setattr(exploring, "SHRINKING", 10)
    target = "channels.live_defects:lock_for_each_subscriber"
    # A loop that dies in the only refused run counts, unless 25 runs without it are refused too.
    arguments = ["--live", target, "--rule", "CH-6.1", "--rule", "CH-6.3", "--max-examples", "60"]
    kept, report = tmp_path / "kept", tmp_path / "report.json"
    assert (
        main([*arguments, "--failures", str(kept), "--json", str(report), "--html", str(tmp_path / "page.html")]) == 1
    )
    told = capsys.readouterr().out
    assert "threads, and channel = Channel(buffer_size=" in told
    (only,) = json.loads(report.read_text())["targets"]
    assert "fail" in [rule["verdict"] for rule in only["rules"]]
    (file,) = kept.iterdir()
    assert file.read_text().splitlines()[3].startswith("live channel of size ")
    assert main(["--replay", str(file)]) == 1
    again = capsys.readouterr().out
    assert [line for line in again.splitlines() if "<==" in line]
    assert "no order of the operations that overlap explains it" in again


def test_the_loops_of_a_run_are_asyncios_and_uvloops() -> None:
    """Where uvloop is installed, some of the runs use it."""
    assert {draw(0, number).loops for number in range(50)} == set(LOOPS)
