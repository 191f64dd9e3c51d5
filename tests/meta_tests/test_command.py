"""The command: its exit statuses, its report, and one clear line for invalid input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from aioservicekit_conformance.as_tests import conformance
from aioservicekit_conformance.cli import main
from aioservicekit_conformance.verdicts import UNTESTED
from aioservicekit_model.rules import RULES

TARGETS = Path(__file__).resolve().parents[2] / "examples" / "targets"

THREADS = """
import asyncio, aioservicekit
from aioservicekit import ChannelClosedError, ChannelState

class Channel(aioservicekit.Channel):
    async def close(self):
        await asyncio.to_thread(print)

    async def connect(self):
        await asyncio.to_thread(print)
        return await super().connect()
"""

HEAD = "aioservicekit-conformance failure"
KEPT = f"{HEAD}\ntarget a\nrule CH-1.4\nchannel of size 0\n"

DEAF = """
import aioservicekit
from aioservicekit import ChannelClosedError, ChannelState

class Channel(aioservicekit.Channel):
    async def close(self):
        if self.state is ChannelState.open:
            await super().close()
"""


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "aioservicekit_conformance", *arguments]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=120, check=False)


def test_our_own_channel_conforms(tmp_path: Path) -> None:
    """The reference passes every rule of CH-1 to CH-5, and the exit status is 0."""
    done = run("aioservicekit", "--max-examples", "600", "--json", str(tmp_path / "report.json"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (target,) = json.loads((tmp_path / "report.json").read_text())["targets"]
    verdicts = {rule["rule"]: rule["verdict"] for rule in target["rules"]}
    assert list(verdicts) == list(RULES)
    assert set(RULES) - set(UNTESTED) == {rule for rule, verdict in verdicts.items() if verdict == "pass"}
    assert target["conforms"] is True


def test_a_broken_rule_is_named_with_its_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failing rule shows its sentence, what was expected and observed, and the shortest history; the exit status is 1."""
    (tmp_path / "deaf_channel.py").write_text(DEAF)
    done = run("deaf_channel", "--max-examples", "200", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL  CH-1.4" in done.stdout
    assert done.stdout.count("FAIL") == 1
    assert RULES["CH-1.4"].sentence[:45] in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "expected: the channel's state is closed" in done.stdout
    assert "observed: the channel's state is initiation" in done.stdout
    assert "channel.close()" in done.stdout


def test_a_seed_decides_everything(tmp_path: Path) -> None:
    """Two processes, whose sets have different orders, write the same bytes; another seed draws other cases.

    Numbers in a module that Hypothesis mistakes for the user's do not change the cases either.
    """
    found = []
    for name, seed, more in (
        ("1", "7", ""),
        ("2", "7", f"\nNUMBERS = {list(range(1, 400_000, 997))}\n"),
        ("3", "8", ""),
    ):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "deaf_channel.py").write_text(DEAF + more)
        targets = ["deaf_channel", *(["asyncio_queues"] if seed == "7" else [])]
        files = ("--json", "report.json", "--junit", "report.xml", "--html", "report.html", "--failures", "kept")
        path = os.pathsep.join([str(TARGETS), os.environ.get("PYTHONPATH", "")])
        options = ("--seed", seed, "--max-examples", "60", *files)
        done = run(*targets, *options, cwd=directory, PYTHONHASHSEED=name, PYTHONPATH=path)
        assert done.returncode == 1, done.stdout + done.stderr
        files_written = [*directory.glob("report.*"), *directory.glob("kept/*")]
        found.append((done.stdout, {file.relative_to(directory): file.read_bytes() for file in files_written}))
    assert found[0] == found[1]
    assert len(found[0][1]) >= 5
    cases = [json.loads(written[Path("report.json")])["targets"][0]["reached"] for _, written in found]
    assert cases[0] != cases[2]


def test_one_rule_can_be_judged_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --rule, the report has no other rules."""
    report = tmp_path / "report.json"
    assert (
        main(["aioservicekit", "--rule", "CH-2.3", "--rule", "CH-3.8", "--max-examples", "100", "--json", str(report)])
        == 0
    )
    (target,) = json.loads(report.read_text())["targets"]
    assert [rule["rule"] for rule in target["rules"]] == ["CH-2.3", "CH-3.8"]
    assert "CH-1.1" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a TARGET to judge; `aioservicekit` is the reference"),
        ([""], "the name of a TARGET is empty"),
        (["no_such_module"], "no_such_module"),
        (["aioservicekit:nothing"], "nothing"),
        (["no/such/file.py"], "there is no file no/such/file.py"),
        (["no/such/file"], "a path to a target ends with .py"),
        (["json"], "lacks Channel, ChannelState, ChannelClosedError"),
        (["--rule", "CH-0.1"], "CH-0.1"),
        (["--max-examples", "0"], "'0'"),
        (["--max-examples", "many"], "'many'"),
        (["--seed", "x"], "'x'"),
        (["aioservicekit", "--json", "wrong.txt/report.json"], "--json wrong.txt/report.json: "),
        (["aioservicekit", "--known-failing", "nowhere.txt"], "--known-failing nowhere.txt: "),
        (["aioservicekit", "--known-failing", "wrong.txt"], "there is no rule 'CH-0.1'"),
        (["aioservicekit", "--failures", "wrong.txt/directory"], "--failures wrong.txt/directory: "),
        (
            ["--replay", "failure.txt", "--json", "x"],
            "--replay runs one failure again: it can't be combined with --json",
        ),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No target, one that can't be loaded, an invalid option or file: status 2, and one line, before anything is judged."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.txt").write_text("CH-0.1\n")
    try:
        status: object = main(arguments)
    except SystemExit as error:  # argparse's ending
        status = error.code
    assert status == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err.strip().splitlines()[-1]


@pytest.fixture
def deaf(tmp_path: Path) -> Path:
    """A directory with a target in it, and one of its failures."""
    (tmp_path / "deaf_channel.py").write_text(DEAF)
    done = run("deaf_channel", "--max-examples", "50", "--failures", "kept", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    return tmp_path


def test_a_failure_is_kept_and_replayed(deaf: Path) -> None:
    """--failures writes a file that --replay runs again, on its own target or on another one (exit status 1, or 0)."""
    file = deaf / "kept" / "deaf_channel-CH-1.4.txt"
    assert (
        file.read_text() == "aioservicekit-conformance failure\ntarget deaf_channel\nrule CH-1.4\nchannel of size 0\n"
    )
    again = run("--replay", str(file), cwd=deaf)
    assert again.returncode == 1
    assert "observed: the channel's state is initiation" in again.stdout
    assert "explained by a breach of: CH-1.4" in again.stdout
    other = run("aioservicekit", "--replay", str(file), cwd=deaf)
    assert other.returncode == 0
    assert "aioservicekit keeps the rules here" in other.stdout


def test_a_failure_is_a_program_of_plain_asyncio(deaf: Path) -> None:
    """The program beside the file shows the defect, and imports nothing from the suite."""
    program = deaf / "kept" / "deaf_channel-CH-1.4.py"
    assert "conformance" not in program.read_text()
    done = subprocess.run(
        [sys.executable, str(program)], cwd=deaf, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "the defect shows"


def test_a_program_says_when_the_defect_is_gone(deaf: Path) -> None:
    """Once the target is fixed, the program ends with exit status 0."""
    (deaf / "deaf_channel.py").write_text("from aioservicekit import *\n")
    command = [sys.executable, str(deaf / "kept" / "deaf_channel-CH-1.4.py")]
    done = subprocess.run(command, cwd=deaf, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_known_failures_are_no_failure_and_stale_ones_are(deaf: Path) -> None:
    """A rule that is known to fail does not fail the run; a listed rule that passes does."""
    (deaf / "known.txt").write_text("CH-1.4  # to be mended\n\n")
    assert run("deaf_channel", "--max-examples", "50", "--known-failing", "known.txt", cwd=deaf).returncode == 0
    (deaf / "known.txt").write_text("CH-1.4\nCH-2.3\n")
    stale = run("deaf_channel", "--max-examples", "50", "--known-failing", "known.txt", cwd=deaf)
    assert stale.returncode == 1
    assert "CH-2.3 is listed as known to fail, but passes: take it off the list" in stale.stdout


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        ("nothing", "line 1: expected 'aioservicekit-conformance failure', not 'nothing'"),
        (
            f"{HEAD}\nrule CH-1.4",
            "line 2: expected 'target' and its name, or 'agent' and its command, not 'rule CH-1.4'",
        ),
        (
            f"{HEAD}\ntarget a\nrule CH-1.4",
            "line 4: expected 'channel of size' and a number, with 'live' before it or without, or 'check' and its name, not ''",
        ),
        (f"{HEAD}\ntarget a\nrule CH-0.1\nchannel of size 0", "line 3: there is no rule 'CH-0.1'"),
        (f"{HEAD}\ntarget a\nrule CH-1.4\ncheck nothing", "there is no check of CH-1.4 by this name alone: 'nothing'"),
        (f"{KEPT}1 dance p1", "line 5: no action: '1 dance p1'"),
        (f"{KEPT}1 send p1", "line 5: there is no endpoint p1: '1 send p1'"),
        (f"{KEPT}1 connect p1\n2 read p1", "line 6: p1 has no read(): '2 read p1'"),
        (f"{KEPT}1 connect p1\n1 close p1", "line 6: operation 1 has been called already: '1 close p1'"),
        (f"{KEPT}1 connect p1\n2 connect p1", "line 6: there is an endpoint p1 already"),
        (f"{KEPT}cancel 3", "line 5: there is no operation 3 to cancel: 'cancel 3'"),
    ],
)
def test_a_bad_replay_file_is_one_clear_line(
    content: str | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid failure file is refused with the wrong line and what it lacks, and exit status 2."""
    file = tmp_path / "failure.txt"
    if content is not None:
        file.write_text(content)
    assert main(["--replay", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert complaint in said


def test_a_target_that_cannot_be_judged_is_not_replayed(deaf: Path) -> None:
    """A target that leaves the stepped loop is reported as such, and not as sound."""
    (deaf / "threads.py").write_text(THREADS)
    done = run("threads", "--replay", str(deaf / "kept" / "deaf_channel-CH-1.4.txt"), cwd=deaf)
    assert done.returncode == 1
    assert "threads can't be judged: it uses loop.run_in_executor()" in done.stdout


@pytest.mark.parametrize(("target", "broken"), [("asyncio_queues", "CH-4.4"), ("anyio_streams", "CH-3.8")])
def test_what_people_use_today_is_judged(target: str, broken: str, tmp_path: Path) -> None:
    """Channels made of asyncio queues and of anyio streams deliver to some, reorder reads, or lose cancellations."""
    if target == "anyio_streams":
        pytest.importorskip("anyio")
    report = tmp_path / "report.json"
    done = run(target, "--max-examples", "300", "--json", str(report), cwd=TARGETS)
    assert done.returncode == 1, done.stdout + done.stderr
    (judged,) = json.loads(report.read_text())["targets"]
    assert {"CH-3.1", broken} <= {rule["rule"] for rule in judged["rules"] if rule["verdict"] == "fail"}
    assert all("replay" in rule for rule in judged["rules"] if rule.get("history"))
    assert done.stderr == ""


def test_a_masked_rule_does_not_pass() -> None:
    """With one queue per subscriber, a cancelled send has reached somebody; CH-3.1 masks CH-3.8, even with --rule."""
    done = run("asyncio_queues", "--rule", "CH-3.8", "--max-examples", "60", cwd=TARGETS)
    assert done.returncode == 1, done.stdout
    assert "masked  CH-3.8  Cancelling a send  by CH-3.1: " in done.stdout
    assert "asyncio_queues does not conform: 1 masked" in done.stdout


def test_a_junit_report(deaf: Path) -> None:
    """--junit has one suite per target and one case per rule; failures say what was expected and observed."""
    done = run("deaf_channel", "aioservicekit", "--max-examples", "50", "--junit", "report.xml", cwd=deaf)
    assert done.returncode == 1, done.stdout + done.stderr
    suites = ElementTree.parse(deaf / "report.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["deaf_channel", "aioservicekit"]
    assert {len(suite.findall("testcase")) for suite in suites} == {len(RULES)}
    (failed,) = suites.findall("testsuite/testcase[failure]")
    failure = failed.find("failure")
    assert failed.get("name") == "CH-1.4 Explicit closing"
    assert failure is not None
    assert (
        failure.get("message") == "expected the channel's state is closed; observed the channel's state is initiation"
    )
    assert "channel.close()" in (failure.text or "")


@pytest.mark.parametrize("processes", [[], ["-n", "2"]])
def test_the_suite_as_tests_of_another_project(deaf: Path, processes: list[str]) -> None:
    """One line gives one test per rule, with xdist too; a rule that is known to fail and passes fails its test."""
    (deaf / "test_theirs.py").write_text(
        "from aioservicekit_conformance.as_tests import conformance\n"
        "test_channel = conformance('deaf_channel', max_examples=50)\n"
        "test_known = conformance('deaf_channel', max_examples=50, known_failing=['CH-1.4', 'CH-2.3'])\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *processes, "test_theirs.py"]
    done = subprocess.run(command, cwd=deaf, capture_output=True, text=True, timeout=120, check=False)
    assert "FAILED test_theirs.py::test_channel[CH-1.4]" in done.stdout
    assert "CH-1.4 Explicit closing: `close()` on a channel MUST" in done.stdout
    assert "FAILED test_theirs.py::test_known[CH-2.3]" in done.stdout
    assert (
        f"2 failed, {2 * (len(RULES) - len(UNTESTED)) - 3} passed, {2 * len(UNTESTED)} skipped, 1 xfailed"
        in done.stdout
    )


def run_pytest(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--conformance-max-examples", "50", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_the_suite_as_a_plugin_of_pytest(deaf: Path) -> None:
    """`--conformance TARGET` adds one test per rule to the existing tests; -k, node ids and --lf choose among them."""
    (deaf / "test_theirs.py").write_text("def test_theirs(): pass\n")
    chosen = run_pytest("--conformance", "deaf_channel", "-k", "theirs or CH-1.4 or CH-2.3 or CH-6.1", cwd=deaf)
    assert "CH-1.4 Explicit closing: `close()` on a channel MUST" in chosen.stdout
    assert "FAILED deaf_channel::CH-1.4" in chosen.stdout
    assert "1 failed, 2 passed, 1 skipped" in chosen.stdout
    again = run_pytest("--conformance", "deaf_channel", "--lf", cwd=deaf)
    assert "1 failed" in again.stdout
    assert "passed" not in again.stdout
    named = run_pytest("--conformance", "deaf_channel", "deaf_channel::CH-2.3", cwd=deaf)
    assert "1 passed in" in named.stdout
    lacking = run_pytest("--conformance", "no_such_channel", cwd=deaf)
    assert "ERROR: target 'no_such_channel' can't be imported" in lacking.stderr
    assert lacking.returncode == 4


def test_the_plugin_in_several_processes(deaf: Path) -> None:
    """One process judges for all; JUnit's class is the target; a rule that is known to fail is an expected failure."""
    (deaf / "known.txt").write_text("CH-1.4\n")
    options = ["--conformance", "deaf_channel", "--conformance-known-failing", "known.txt", "--junit-xml", "report.xml"]
    done = run_pytest("-n", "2", *options, cwd=deaf)
    assert done.returncode == 0, done.stdout
    assert f"{len(RULES) - len(UNTESTED) - 1} passed, {len(UNTESTED)} skipped, 1 xfailed" in done.stdout
    classes = {case.get("classname") for case in ElementTree.parse(deaf / "report.xml").iter("testcase")}
    assert classes == {"deaf_channel"}


def test_a_target_that_can_not_be_judged_fails_everywhere(tmp_path: Path) -> None:
    """One policy for all: an unsupported rule fails the command, its JUnit report and pytest alike."""
    (tmp_path / "threads.py").write_text(THREADS)
    done = run("threads", "--max-examples", "20", "--junit", "made/report.xml", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    judged = len(RULES) - len(UNTESTED)
    assert f"threads does not conform: {judged} unsupported, {len(UNTESTED)} untested" in done.stdout
    (suite,) = ElementTree.parse(tmp_path / "made" / "report.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped")) == (str(judged - 1), str(len(UNTESTED) + 1))
    plugin = run_pytest("--conformance", "threads", cwd=tmp_path)
    assert f"{judged - 1} failed, {len(UNTESTED) + 1} skipped" in plugin.stdout  # CH-7.3 is not a MUST


def test_an_unknown_rule_is_no_known_failure() -> None:
    """`known_failing` with a rule that does not exist is refused at once."""
    with pytest.raises(ValueError, match=r"there is no rule 'CH-0\.1'"):
        conformance("aioservicekit", known_failing=["CH-0.1"])
