"""How judging ends when the target hangs, exits, prints or fails, and when somebody presses Ctrl+C."""

import asyncio
import concurrent.futures
import json
import os
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from channels.plain import (
    ChannelClosedError,
    ChannelState,
    PlainChannel,
    PlainPublisher,
    Target,
    give_back,
    requests_heard,
)
from rich.console import Console

from aioservicekit_conformance import judging
from aioservicekit_conformance.checks.check import NotTakenOn
from aioservicekit_conformance.checks.registry import CHECKS
from aioservicekit_conformance.checks.runner import run_check
from aioservicekit_conformance.cli import main
from aioservicekit_conformance.exploring.scripts import SCRIPTS
from aioservicekit_conformance.judging import judge
from aioservicekit_conformance.report.html import as_html
from aioservicekit_conformance.report.machine_readable import as_json, as_junit
from aioservicekit_conformance.report.terminal import print_report
from aioservicekit_conformance.running import case as case_of_suite
from aioservicekit_conformance.running import watchdog
from aioservicekit_conformance.running.case import Action, Case, replay
from aioservicekit_conformance.target import describe
from aioservicekit_conformance.verdicts import Report
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE
from aioservicekit_model.rules import RULES


def judged(channel: type[Any], examples: int = 20) -> Report:
    target = Target(channel, ChannelState, ChannelClosedError)
    return judge(describe("theirs", target), frozenset(RULES), examples, 0)


class HangsInSend(PlainChannel[Any]):
    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        while True:
            pass


class StaysOpen(PlainChannel[Any]):
    """It can't be closed, at times."""

    is_broken = True

    async def close(self) -> None:
        if not self.is_broken:
            await super().close()


class ExitsInSend(PlainChannel[Any]):
    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        raise SystemExit(0)


class ExitsInATask(PlainChannel[Any]):
    async def connect(self) -> Any:
        self._task = asyncio.ensure_future(self._exit_later())
        return await super().connect()

    async def _exit_later(self) -> None:
        raise SystemExit(0)


class FailsInSend(PlainChannel[Any]):
    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        raise KeyError("lost")


class StateFails(PlainChannel[Any]):
    @property
    def state(self) -> Any:
        if self._sends:
            raise KeyError("nowhere")
        return super().state


class StateHangs(PlainChannel[Any]):
    @property
    def state(self) -> Any:
        while self._sends:
            pass
        return super().state


class StateHangsOnceClosed(PlainChannel[Any]):
    @property
    def state(self) -> Any:
        while self._state is ChannelState.closed:
            pass
        return super().state


class StaysOpenInGenerators(PlainChannel[Any]):
    async def _exit(self, end: Any, error: BaseException | None) -> bool:
        return False if isinstance(error, GeneratorExit) else await super()._exit(end, error)


class SuspendsBeforeItCloses(PlainChannel[Any]):
    async def _exit(self, end: Any, error: BaseException | None) -> bool:
        await asyncio.sleep(0)
        return await super()._exit(end, error)


class StaysOpenWithNobody(PlainChannel[Any]):
    async def _exit(self, end: Any, error: BaseException | None) -> bool:
        if end is self and not (self._publishers or self._subscribers):
            return False
        return await super()._exit(end, error)


class CancelsItsUsers(PlainChannel[Any]):
    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        for task in asyncio.all_tasks():
            task.cancel()
        await super()._send(publisher, message)
        await asyncio.sleep(0)


class ReadsOfTheClosedWait(PlainChannel[Any]):
    def _readable(self, subscriber: Any) -> bool:
        return bool(subscriber.backlog)


class IterationsOfTheClosedWait(PlainChannel[Any]):
    async def _next(self, subscriber: Any) -> Any:
        try:
            return await self._read(subscriber)
        except ChannelClosedError:
            return await asyncio.get_running_loop().create_future()


class RepeatsRequests(PlainChannel[Any]):
    """A request between a send's commit and its return is repeated, withdrawn or not; reads begin and return late."""

    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        sending = asyncio.ensure_future(super()._send(publisher, message))
        try:
            await asyncio.wait([sending])
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not sending.done() or task is None:
                sending.cancel()
                raise
            task.uncancel()
            asyncio.get_running_loop().call_soon(task.cancel)
        await sending

    async def _read(self, subscriber: Any) -> Any:
        await asyncio.sleep(0)
        message = await super()._read(subscriber)
        for _ in range(5):
            await asyncio.sleep(0)
        return message


class KnowsOneOfTwoRequests(PlainChannel[Any]):
    """Two requests between a send's commit and its return: the withdrawal of one is taken for that of both."""

    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        await super()._send(publisher, message)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            give_back(error, requests_heard() - 1)


class ForgetsTwoRequests(PlainChannel[Any]):
    """A request between a send's commit and its return is given back, unless there is a second one."""

    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        await super()._send(publisher, message)
        heard = requests_heard()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            if requests_heard() == heard + 1:
                give_back(error, heard)


class ClosesInBlocksAlone(PlainChannel[Any]):
    """Its close() suspends first, and can be cancelled there; the end of its block does not."""

    async def close(self) -> None:
        await asyncio.sleep(0)
        await super().close()

    async def _exit(self, end: Any, error: BaseException | None) -> bool:
        self._close_now(end)
        return False


class SchedulesAMethodOfAList(PlainChannel[Any]):
    """It schedules a bound method of an object that has no hash."""

    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        asyncio.get_running_loop().call_soon([].append, message)
        await super()._send(publisher, message)


class PrintsInSend(PlainChannel[Any]):
    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        print("sending")
        await super()._send(publisher, message)


class SpinsInClose(PlainChannel[Any]):
    async def _close(self, end: Any) -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)


def test_a_hang_is_a_verdict_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A send that never returns is interrupted: CH-3.4 fails with file and line, and the rest is untested."""
    monkeypatch.setattr(watchdog, "SECONDS", 0.5)
    report = judged(HangsInSend)
    (failed,) = (verdict for verdict in report.verdicts if verdict.verdict == "fail")
    assert failed.rule == "CH-3.4"
    assert "test_ends.py, line " in failed.observed
    assert "p1.send(" in failed.history[-1]
    assert {verdict.verdict for verdict in report.verdicts} == {"fail", "untested"}
    assert not report.conforms


def test_a_hang_in_another_thread_is_a_verdict_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without signals, as on Windows or beside the main thread, a thread interrupts what hangs: same verdict, same line."""
    monkeypatch.setattr(watchdog, "SECONDS", 0.5)
    reports: list[Report] = []
    judging = threading.Thread(target=lambda: reports.append(judged(HangsInSend)))
    judging.start()
    judging.join()
    (failed,) = (verdict for verdict in reports[0].verdicts if verdict.verdict == "fail")
    assert failed.rule == "CH-3.4"
    assert "test_ends.py, line " in failed.observed


def test_a_watched_thread_leaves_no_flag_up() -> None:
    """After watching from a thread, other threads can be traced: CPython 3.11 spun where an error had been taken back."""

    def watch() -> None:
        with watchdog.watched():
            pass

    def any_function() -> None:
        """Where the thread would spin."""

    def traced() -> None:
        sys.settrace(lambda *_: None)
        any_function()

    for each in (watch, traced):
        thread = threading.Thread(target=each, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()


STUBBORN = {
    "catches": "def spin():\n    while True: pass\nwhile True:\n    try: spin()\n    except BaseException: pass\n",
    "blocks": "import threading\nthreading.Event().wait()\n",
    "is deaf": "import signal\nfor each in signal.valid_signals():\n"
    "    try: signal.signal(each, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
    "while True: pass\n",
}


@pytest.mark.parametrize("signals", ["signals", "no signals"])
@pytest.mark.parametrize("how", STUBBORN)
def test_what_nothing_interrupts_ends_with_a_line(how: str, signals: str, tmp_path: Path) -> None:
    """A target that catches each interruption, blocks where none can reach it, or ignores signals, ends the process in time."""
    (tmp_path / "stubborn.py").write_text(STUBBORN[how])
    (tmp_path / "run.py").write_text(
        "import signal, sys\n"
        + ("" if signals == "signals" else "if hasattr(signal, 'pthread_kill'): del signal.pthread_kill\n")
        + "from aioservicekit_conformance.running import watchdog\n"
        "watchdog.SECONDS = 0.05\n"
        "from aioservicekit_conformance.cli import main\n"
        "sys.exit(main(['stubborn']))\n"
    )
    done = subprocess.run([sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    interrupted = (how, signals) in {("blocks", "signals"), ("is deaf", "no signals")}
    assert done.returncode == (2 if interrupted else 1)
    (line,) = done.stderr.splitlines()
    assert "for seconds it ran at stubborn.py, line " in line


def test_a_module_that_never_comes_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target that hangs at import is interrupted: status 2, with file and line."""
    (tmp_path / "endless.py").write_text("while True:\n    pass\n")
    monkeypatch.setattr(watchdog, "SECONDS", 0.1)
    monkeypatch.chdir(tmp_path)
    assert main(["endless"]) == 2
    assert "for seconds it ran at endless.py, line " in capsys.readouterr().err


def test_a_module_that_raises_anything_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is raised at import, it is no success, and no traceback."""
    (tmp_path / "raising.py").write_text("raise BaseException('no')\n")
    monkeypatch.chdir(tmp_path)
    assert main(["raising"]) == 2
    assert "can't be imported: BaseException: no (raising.py, line 1)" in capsys.readouterr().err


@pytest.mark.parametrize("leave", ["sys.exit", "os._exit"])
def test_a_module_that_exits_is_refused(
    leave: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target that exits with status 0 at import is not a success."""
    (tmp_path / f"leaving_by_{leave[:2]}.py").write_text(f"import os, sys\n{leave}(0)\n")
    monkeypatch.chdir(tmp_path)
    before = os._exit
    assert main([f"leaving_by_{leave[:2]}"]) == 2
    assert f"can't be imported: SystemExit: 0 (leaving_by_{leave[:2]}.py, line 2)" in capsys.readouterr().err
    assert os._exit is before


@pytest.mark.parametrize("channel", [ExitsInSend, FailsInSend])
def test_an_error_is_shown_with_its_text_and_line(channel: type[Any]) -> None:
    """A send that raises an unexpected error breaks the rule that says how it ends, even if the error would end the program."""
    failed = [verdict for verdict in judged(channel).verdicts if verdict.verdict == "fail"]
    assert [verdict.rule for verdict in failed] == ["CH-3.3", "CH-3.4", "CH-3.7"]
    said = "SystemExit: 0" if channel is ExitsInSend else "KeyError: 'lost'"
    for verdict in failed:
        assert verdict.observed.startswith(f"raises {said} (test_ends.py, line ")


class RaisesAnotherClosedError(PlainChannel[Any]):
    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        try:
            await super()._send(publisher, message)
        except ChannelClosedError:
            raise type("ChannelClosedError", (Exception,), {}) from None


class RaisesAnotherCancelledError(PlainChannel[Any]):
    async def _read(self, subscriber: Any) -> Any:
        try:
            return await super()._read(subscriber)
        except asyncio.CancelledError:
            raise concurrent.futures.CancelledError from None


class RaisesWhenFull(PlainChannel[Any]):
    async def _send(self, publisher: PlainPublisher[Any], message: Any) -> None:
        self._require_connected(publisher)
        if not self._room():
            raise asyncio.QueueFull
        await super()._send(publisher, message)


class ClosesByGeneratorExit(PlainChannel[Any]):
    async def close(self) -> None:
        raise GeneratorExit


@pytest.mark.parametrize(
    ("channel", "rule", "observed"),
    [
        (RaisesAnotherClosedError, "CH-3.7", "test_ends.ChannelClosedError (test_ends.py, line "),
        (RaisesAnotherCancelledError, "CH-4.5", "concurrent.futures._base.CancelledError (test_ends.py, line "),
        (RaisesWhenFull, "CH-3.2", "QueueFull (test_ends.py, line "),
        (ClosesByGeneratorExit, "CH-5.1", "GeneratorExit (test_ends.py, line "),
    ],
)
def test_an_error_is_told_by_its_class_and_not_by_its_name(channel: type[Any], rule: str, observed: str) -> None:
    """An error of another class is another error, whatever its name. GeneratorExit is an error too."""
    (failed,) = (verdict for verdict in judged(channel, 200).verdicts if verdict.rule == rule)
    assert failed.verdict == "fail"
    assert failed.observed.startswith("raises ")
    assert observed in failed.observed


class Odd(BaseException):
    """Nothing that programs expect, with a text that none can show."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class RaisesSomethingOdd(PlainChannel[Any]):
    async def _read(self, subscriber: Any) -> Any:
        raise Odd


class RaisesWhatTerminalsObey(PlainChannel[Any]):
    async def _read(self, subscriber: Any) -> Any:
        raise ValueError("\ud800\x1b[31m\n" + 10_000 * "x")


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (RaisesSomethingOdd, "Odd: (its text raises an error)"),
        (RaisesWhatTerminalsObey, r"ValueError: \ud800\x1b[31m\nxx"),
    ],
)
def test_any_error_can_be_told(channel: type[Any], said: str) -> None:
    """An error that is no `Exception`, has no text, or one that would spoil the report, is shown on one line."""
    report = judged(channel)
    told = [f"{verdict.observed} {verdict.evidence}" for verdict in report.verdicts]
    assert any(said in each for each in told)
    assert all(len(each) < 1_000 and each.isprintable() for each in told)


def test_a_thread_that_never_ends_does_not_keep_the_command(tmp_path: Path) -> None:
    """A target's thread waits for ever: the command ends with its own status all the same."""
    (tmp_path / "threaded.py").write_text(
        "import threading\nfrom aioservicekit import Channel, ChannelClosedError, ChannelState\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
    )
    command = [sys.executable, "-m", "aioservicekit_conformance", "threaded", "--rule", "CH-4.7", "--max-examples", "5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "threaded conforms: 1 pass" in done.stdout


def test_a_state_that_fails_is_a_failure_of_the_target() -> None:
    """An error in `state` is shown with its text, file and line."""
    (failed,) = (verdict for verdict in judged(StateFails).verdicts if verdict.verdict == "fail")
    assert "KeyError: 'nowhere' (test_ends.py, line " in failed.observed


@pytest.mark.parametrize(("channel", "rule"), [(StateHangs, "CH-3.4"), (StateHangsOnceClosed, "CH-1.4")])
def test_a_state_that_hangs_is_a_verdict_with_its_line(
    channel: type[Any], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `state` that never comes back is interrupted like an operation."""
    monkeypatch.setattr(watchdog, "SECONDS", 0.5)
    (failed,) = (verdict for verdict in judged(channel).verdicts if verdict.verdict == "fail")
    assert failed.rule == rule
    assert "test_ends.py, line " in failed.observed


@pytest.mark.parametrize(
    ("channel", "way"),
    [
        (StaysOpenInGenerators, "by a GeneratorExit"),
        (SuspendsBeforeItCloses, "as its task is asked to cancel"),
        (StaysOpenWithNobody, "async with before the channel has opened, of a channel"),
    ],
)
def test_a_block_closes_however_it_ends(channel: type[Any], way: str) -> None:
    """By an asynchronous generator's aclose(), by a request that comes as the block is left, and with nobody to close."""
    target = describe("theirs", Target(channel, ChannelState, ChannelClosedError))
    (verdict,) = judge(target, frozenset({"CH-5.4"}), 1, 0).verdicts
    assert verdict.verdict == "fail"
    assert way in verdict.expected


@pytest.mark.parametrize(("channel", "kept"), [(ReadsOfTheClosedWait, True), (IterationsOfTheClosedWait, False)])
def test_an_iteration_is_not_blamed_for_what_read_does(channel: type[Any], kept: bool) -> None:
    """Where read waits for ever on a closed subscriber, so may async for: CH-4.7b breaks only if read would end."""
    (check,) = (check for check in CHECKS if check.obligation == "CH-4.7b")
    assert (run_check(check, describe("theirs", Target(channel))) is None) == kept


def test_a_target_that_cancels_its_users_can_be_judged() -> None:
    """A check that the target cancels could not be run; the cases show which rule that breaks."""
    (check,) = (check for check in CHECKS if check.obligation == "CH-1.1b")
    with pytest.raises(NotTakenOn, match="could not be inspected: CancelledError"):
        run_check(check, describe("theirs", Target(CancelsItsUsers)))


def owed_by(channel: type[Any], words: str) -> list[bool]:
    """Whether a channel keeps CH-3.9b, by each check with these words in its name."""
    target = describe("theirs", Target(channel, ChannelState, ChannelClosedError))
    checks = [check for check in CHECKS if check.obligation == "CH-3.9b" and words in check.name]
    return [run_check(check, target) is None for check in checks]


def test_a_request_is_tried_before_what_lets_an_operation_go_on_has_returned() -> None:
    """A send may have returned before the read that made its room has: the request comes in between (CH-3.9b)."""
    assert owed_by(RepeatsRequests, "time out") == [False]


def test_two_requests_are_tried_after_a_commit_that_comes_late() -> None:
    """A send that commits some turns after the read that made its room may then hear of two requests (CH-3.9b)."""
    assert owed_by(KnowsOneOfTwoRequests, "one of two") == [False]


def test_any_callback_may_be_scheduled() -> None:
    """A bound method of a list, a deque or a dataclass is a callback like any other: the sound channel passes."""
    assert not {v.rule for v in judged(SchedulesAMethodOfAList).verdicts if v.verdict in ("fail", "unsupported")}


def test_two_requests_are_owed_as_one_is() -> None:
    """Neither of two requests is withdrawn: the task is cancelled at its next suspension (CH-3.9b)."""
    assert owed_by(ForgetsTwoRequests, "too late") == [False]


def test_a_block_that_closes_is_not_blamed_for_a_close_that_does_not() -> None:
    """Where close() has no effect on a cancelled task, but the end of the block has, CH-5.1 is broken, and CH-5.4 is kept."""
    target = describe("theirs", Target(ClosesInBlocksAlone, ChannelState, ChannelClosedError))
    report = judge(target, frozenset({"CH-5.1", "CH-5.4"}), 50, 0)
    assert {v.rule: v.verdict for v in report.verdicts} == {"CH-5.1": "fail", "CH-5.4": "pass"}


def test_a_case_that_too_many_states_explain_is_given_up() -> None:
    """Twenty sends wait as the channel closes, and each may have failed or not: nothing is said of what follows."""
    sends = [Action(number, "send", "p1", after=0) for number in range(3, 23)]
    joins = [Action(1, "connect", "p1"), Action(2, "subscribe", "s1", size=1)]
    case = replay(describe("theirs", Target(PlainChannel, ChannelState, ChannelClosedError)), 0, joins + sends)
    assert (case.refused, case.states, case.given_up) == (None, frozenset(), True)


def test_what_is_given_up_is_counted_in_every_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The evidence of each rule of the machine, JSON, JUnit and the page say how many cases were not judged to the end."""
    monkeypatch.setattr(case_of_suite, "MOST_STATES", 30)
    report = judged(PlainChannel, 60)
    assert 0 < report.given_up < 0.1 * report.explored
    explored = [v.evidence for v in report.verdicts if v.evidence.startswith("could have broken in")]
    assert len(explored) > 20
    assert all(f"; {report.given_up} of {report.explored} cases were given up" in evidence for evidence in explored)
    assert as_json([report], "1")["targets"][0]["given_up"] == report.given_up
    assert (
        as_junit([report]).find(f"testsuite/properties/property[@name='given up'][@value='{report.given_up}']")
        is not None
    )
    assert f"{report.given_up} given up" in as_html([report], "1", 0)
    console = Console(record=True, file=StringIO(), width=200)
    print_report(console, report, 0)
    assert f"{report.given_up} of {report.explored} cases were given up" in console.export_text()


def test_too_many_cases_given_up_are_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """If more than one case in ten is given up, no rule of the machine passes."""
    monkeypatch.setattr(case_of_suite, "MOST_STATES", 4)
    report = judged(PlainChannel)
    assert {v.verdict for v in report.verdicts if v.rule in RULES_OF_THE_MACHINE} == {"unsupported"}
    assert not report.conforms


@pytest.mark.parametrize(("in_vain", "verdict"), [(0, "fail"), (4, "fail"), (5, "unsupported")])
def test_a_failure_is_tried_several_times(in_vain: int, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target may look at a set in another order each time: only what does not recur in five attempts is no failure."""
    recurs = iter([False] * in_vain + [True])

    def again(*case: Any) -> Case:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StaysOpen, "is_broken", next(recurs))
            return replay(*case)

    monkeypatch.setattr(judging, "replay", again)
    target = describe("theirs", Target(StaysOpen, ChannelState, ChannelClosedError))
    (found,) = judge(target, frozenset({"CH-1.4"}), 8, 0).verdicts
    assert found.verdict == verdict
    assert ("did not recur" in found.evidence) == (verdict == "unsupported")


def test_a_task_that_exits_is_unsupported() -> None:
    """What a target's own task does to the program is neither a verdict on a rule nor a success."""
    report = judged(ExitsInATask)
    assert not report.conforms
    assert "fail" not in {verdict.verdict for verdict in report.verdicts}
    assert any("sys.exit()" in verdict.evidence for verdict in report.verdicts if verdict.verdict == "unsupported")


def test_a_close_that_spins_breaks_its_rule() -> None:
    """A loop that lets others run and never ends is a wait: CH-5.1 fails, and what needs no close is judged."""
    verdicts = {verdict.rule: verdict.verdict for verdict in judged(SpinsInClose, 30).verdicts}
    assert verdicts["CH-5.1"] == "fail"
    assert "unsupported" not in verdicts.values()
    assert verdicts["CH-3.5"] == "pass"


def write_target(directory: Path, name: str, body: str) -> None:
    (directory / f"{name}.py").write_text(
        f"import aioservicekit\nfrom aioservicekit import ChannelClosedError, ChannelState\n\n{body}\n"
    )


def test_the_suite_may_compute_for_long() -> None:
    """While the suite itself computes, nothing counts as a hang; afterwards the watchdog begins to count anew."""
    watch = watchdog.Watch(lambda status: None)
    with watchdog.computing():
        assert not any(watch.hangs(None) for _ in range(2 * watchdog.LOOKS))
    assert [watch.hangs(None) for _ in range(watchdog.LOOKS + 1)] == [*[False] * watchdog.LOOKS, True]


def test_what_a_target_prints_does_not_flood_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says how much was printed, as text or as bytes, which breaks no rule."""
    body = "import sys\nclass Channel(aioservicekit.Channel):\n    async def connect(self):\n"
    body += "        print('hullabaloo')\n        sys.stdout.buffer.write(b'bytes\\n')\n        return await super().connect()"
    write_target(tmp_path, "noisy", body)
    monkeypatch.chdir(tmp_path)
    main(["noisy", "--max-examples", "5"])
    said = capsys.readouterr()
    assert "FAIL" not in said.out
    assert said.out.count("hullabaloo") == 1
    assert "lines, which are not shown, from 'hullabaloo' on" in " ".join(said.out.split())
    assert said.err == ""


def test_what_a_target_prints_at_import_is_no_part_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes to standard error, so standard output has the report alone."""
    write_target(tmp_path, "noisy_at_import", "print('hullabaloo')\nChannel = aioservicekit.Channel")
    monkeypatch.chdir(tmp_path)
    main(["noisy_at_import", "--rule", "CH-2.3"])
    said = capsys.readouterr()
    assert "hullabaloo" not in said.out
    assert "hullabaloo" in said.err


def test_ctrl_c_ends_with_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl+C gives status 130 and one line; the report has the targets judged before."""
    body = "made = []\nclass Channel(aioservicekit.Channel):\n    def __init__(self, buffer_size=0):\n"
    body += "        made.append(self)\n        if len(made) > 30:\n            raise KeyboardInterrupt\n"
    body += "        super().__init__(buffer_size)"
    write_target(tmp_path, "interrupted", body)
    monkeypatch.chdir(tmp_path)
    assert main(["aioservicekit", "interrupted", "--max-examples", "5", "--json", "made/report.json"]) == 130
    said = capsys.readouterr()
    assert "interrupted while interrupted was judged: 29 cases made, 0 refused" in said.err
    assert said.err.count("\n") == 1
    report = json.loads((tmp_path / "made" / "report.json").read_text())
    assert [target["target"] for target in report["targets"]] == ["aioservicekit"]


def test_a_case_in_which_ctrl_c_came_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The interrupted closing has had no effect, and nobody is to blame. pytest ends as it does for any Ctrl+C."""
    body = "closings = []\nclass Channel(aioservicekit.Channel):\n    async def close(self):\n"
    body += f"        closings.append(self)\n        if len(closings) == {3 * len(SCRIPTS)}:\n            raise KeyboardInterrupt\n"
    body += "        await super().close()"
    write_target(tmp_path, "interrupted_once", body)
    monkeypatch.chdir(tmp_path)
    assert main(["interrupted_once"]) == 130
    assert ", 0 refused; broken as far as known: no rule" in capsys.readouterr().err
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--conformance", "interrupted_once"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "cases made, 0 refused" in done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_process_that_the_target_forks_ends(tmp_path: Path) -> None:
    """It does not go on as a second judge."""
    body = "import os\nclass Channel(aioservicekit.Channel):\n    async def connect(self, **options):\n"
    body += "        child = os.fork() or os._exit(7)\n        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
    body += "        return await super().connect(**options)"
    write_target(tmp_path, "forking", body)
    command = [sys.executable, "-m", "aioservicekit_conformance", "forking", "--rule", "CH-1.2", "--max-examples", "10"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.count("forking conforms: 1 pass") == 1


def test_an_error_of_the_suite_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the suite gives status 3, and a line that says so."""

    def broken(*arguments: object) -> None:
        raise RuntimeError("no idea")

    monkeypatch.setattr("aioservicekit_conformance.judging.explore", broken)
    assert main(["aioservicekit"]) == 3
    assert "an error of the suite itself, please report it: RuntimeError: no idea" in capsys.readouterr().err


def test_rules_that_were_asked_for_have_to_be_judged(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that is not checked does not conform if it is requested: a run that judged nothing is not green."""
    assert main(["aioservicekit", "--rule", "CH-6.1"]) == 1
    assert "does not conform: 1 untested" in capsys.readouterr().out


def test_an_exported_program_ends_cleanly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if operations wait for ever and clean up slowly, only the findings are printed."""
    body = "class Channel(aioservicekit.Channel):\n    async def subscribe(self, *, buffer_size=None):\n"
    body += "        made = await super().subscribe(buffer_size=buffer_size)\n"
    body += "        try:\n            await asyncio.get_running_loop().create_future()\n"
    body += "        finally:\n            await asyncio.sleep(0)\n        return made"
    write_target(tmp_path, "waiting", f"import asyncio\n{body}")
    monkeypatch.chdir(tmp_path)
    assert main(["waiting", "--max-examples", "20", "--failures", "kept"]) == 1
    program = tmp_path / "kept" / "waiting-CH-2.5.py"
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == "the defect shows"
