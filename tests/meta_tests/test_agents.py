"""Agents: what goes wrong between the suite and an agent is a verdict or one clear line, and never a hang."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from aioservicekit_conformance.agents import protocol
from aioservicekit_conformance.agents.agent import CHECKED_IN_PYTHON, IN_PYTHON_ALONE, Agent
from aioservicekit_conformance.agents.process import AgentProcess
from aioservicekit_conformance.checks.registry import CHECKS
from aioservicekit_conformance.cli import main
from aioservicekit_conformance.exploring.explorer import Exploration
from aioservicekit_conformance.judging import Interrupted, judge
from aioservicekit_conformance.report.html import as_html
from aioservicekit_conformance.running.case import Action, replay
from aioservicekit_conformance.verdicts import Report, Verdict
from aioservicekit_model.rules import RULES

HELLO = {"protocol": 1, "language": "Python", "rests": True, "without": ["CH-1.1", "CH-5.4"]}
SPECIFICATION = Path(__file__).parents[2] / "specs" / "conformance.md"

# An agent of a channel that has no effect; what it does at `subscribe` and at the other commands can be replaced.
AGENT = """
import json, sys, time
for line in sys.stdin:
    command = json.loads(line)
    answer = {"ended": []}
    match command["do"]:
        case "hello": answer = %(hello)s
        case "state": answer = {"state": "initiation"}
        case "subscribe": %(subscribe)s
        case "connect" | "close": answer["ended"] = [{"op": command["op"], "returned": None}]
    print(json.dumps(answer), flush=True)
"""

Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes an agent, and returns the command that starts it."""

    def make(subscribe: str = "pass", hello: object = HELLO) -> str:
        (tmp_path / "agent.py").write_text(AGENT % {"subscribe": subscribe, "hello": hello}, encoding="utf-8")
        return f"'{sys.executable}' '{tmp_path / 'agent.py'}'"

    return make


def judged(command: str, cases: int = 1) -> Report:
    with Agent(command) as agent:
        return judge(agent, frozenset(RULES), cases, 0)


# Before anything is judged: status 2, and one line

WRONG_HELLOS: dict[str, object] = {
    "'\"protocol\": 1'": {**HELLO, "protocol": 2},
    "'\"language\" and its name'": {**HELLO, "language": ""},
    "'\"rests\": true or false'": {"protocol": 1, "language": "Go"},
    "'\"steps\": true or false'": {**HELLO, "steps": 1},
    "'\"without\" and a list'": {**HELLO, "without": "CH-1.1"},
    "of CH-1.1, CH-2.3, CH-3.9": {**HELLO, "without": ["CH-3.1"]},
    "a line with a JSON object": [],
}


@pytest.mark.parametrize("expected", WRONG_HELLOS)
def test_a_hello_that_is_none_is_told_with_what_was_expected(
    make: Make, capsys: pytest.CaptureFixture[str], expected: str
) -> None:
    """The exit status is 2, and the line says what was expected and what came."""
    assert main(["--agent", make(hello=WRONG_HELLOS[expected])]) == 2
    said = capsys.readouterr().err
    assert f"expected {expected.strip(chr(39))}" in said
    assert ", not '" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-program", "can't be started"),
        ("", "the command of an agent is empty"),
        ("node 'agent.mjs", "No closing quotation"),
        (f"'{sys.executable}' -c 'raise SystemExit(3)'", "ended with exit status 3 and did not answer"),
        (f"'{sys.executable}' -c '1 / 0'", "ZeroDivisionError: division by zero"),
        (f"'{sys.executable}' -c 'print(17)'", "expected a line with a JSON object, not '17'"),
    ],
)
def test_an_agent_that_does_not_start_is_told(command: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 2; the line has the reason, or the last error that the agent wrote."""
    assert main(["--agent", command]) == 2
    assert said in capsys.readouterr().err


# While it is judged: a verdict

WRONG_WORDS = {
    "print('debugging')": "expected a line with a JSON object, not 'debugging'",
    "answer = {'ended': 1}": 'expected "ended" and a list',
    "answer = {'ended': [{'op': 1}]}": "expected the end of an operation",
    "answer = {'ended': [{'op': 9, 'returned': None}]}": "operation 9 has ended, which is not under way",
    "answer = {'error': 'what is subscribe?'}": "an agent that reports an error: 'what is subscribe?'",
    "sys.stdout.buffer.write(b'\\xff\\n')": "a line that is not UTF-8",
    "answer = {'ended': ['x' * 2_000_000]}": "a line of more than 1000000 bytes",
    "answer = []": "expected a line with a JSON object, not '[]'",
}


@pytest.mark.parametrize("what", WRONG_WORDS)
def test_other_words_than_those_of_the_protocol_can_not_be_judged(make: Make, what: str) -> None:
    """The case says what was expected and what came. The next one has a new process."""
    with Agent(make(what)) as agent:
        case = agent.case(0)
        case.perform(Action(1, "subscribe", "s1"))
        assert WRONG_WORDS[what] in str(case.escaped)
        assert agent.case(0).escaped is None


def test_an_agent_with_words_of_its_own_is_unsupported(make: Make) -> None:
    """So are all rules, with the reason, but for those that do not apply."""
    report = judged(make("print('debugging')"))
    verdicts = {verdict.rule: verdict for verdict in report.verdicts}
    assert verdicts["CH-3.1"].verdict == "unsupported"
    assert "not 'debugging', in " in verdicts["CH-3.1"].evidence
    assert verdicts["CH-1.1"].verdict == "not applicable"
    assert (verdicts["CH-2.3"].verdict, verdicts["CH-2.3"].evidence) == ("untested", CHECKED_IN_PYTHON)
    assert (verdicts["CH-6.1"].verdict, verdicts["CH-6.1"].evidence) == ("untested", IN_PYTHON_ALONE)
    assert not report.conforms


@pytest.mark.parametrize("how", ["sys.exit(4)", "import os; os.kill(os.getpid(), 9)", "1 / 0"])
def test_an_agent_that_dies_fails(make: Make, how: str) -> None:
    """The rule of the operation fails, with how it died; nothing more is judged."""
    report = judged(make(how))
    (failed,) = [verdict for verdict in report.verdicts if verdict.verdict == "fail"]
    how_it_ended = "was ended by signal 9" if "kill" in how else f"ended with exit status {4 if '4' in how else 1}"
    assert failed.rule == "CH-2.5"
    assert failed.observed.startswith(f"{how_it_ended} and did not answer " + '{"do":"subscribe"')
    assert failed.observed.endswith("ZeroDivisionError: division by zero") == (how == "1 / 0")
    assert failed.commands.count("\n") >= 3


def test_an_agent_that_does_not_answer_fails_when_its_time_is_up(make: Make) -> None:
    """A limit ends the wait, and the verdict has the command that was not answered."""
    with Agent(make("time.sleep(1_000_000)")) as agent:
        agent.case(0)  # by now it has started
        agent.running().seconds = 0.1
        report = judge(agent, frozenset(RULES), 1, 0)
    (failed,) = [verdict for verdict in report.verdicts if verdict.verdict == "fail"]
    assert "does not answer" in failed.observed
    assert "0.1 seconds" in failed.observed


@pytest.fixture
def heed_ctrl_c() -> Iterator[None]:
    """Ctrl+C interrupts, even if the test run was started with SIGINT ignored, as background jobs are."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heed_ctrl_c")
def test_ctrl_c_ends_the_wait_for_an_answer(make: Make) -> None:
    """Whoever interrupts a run is told what was known by then, and the agent ends."""
    presses_ctrl_c = "import os, signal; os.kill(os.getppid(), signal.SIGINT); time.sleep(1_000_000)"
    with pytest.raises(Interrupted, match="0 cases made"):
        judged(make(presses_ctrl_c))


def test_an_agent_that_goes_on_when_its_input_ends_is_killed() -> None:
    """Nothing is left of it."""
    goes_on = "import os, time; print(os.getpid(), flush=True); time.sleep(1_000_000)"
    agent = AgentProcess([sys.executable, "-c", goes_on])
    (pid,) = agent.ask([protocol.STATE])
    agent.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


# What it can't do


def test_what_waits_is_never_accused_by_an_agent_that_can_not_tell_rests(make: Make) -> None:
    """Its sends never end, which may be late: the rule that may be broken is `untested`, and says so."""
    report = judged(make("answer['ended'] = [{'op': command['op'], 'returned': None}]", {**HELLO, "rests": False}))
    needing = {verdict.rule for verdict in report.verdicts if "can't tell rests" in verdict.evidence}
    assert "CH-3.3" in needing
    assert {verdict.verdict for verdict in report.verdicts if verdict.rule in needing} == {"untested"}
    assert all("at rest" not in line for verdict in report.verdicts for line in verdict.history)


@pytest.mark.parametrize("times", [1, 3])
def test_what_was_late_once_is_judged(make: Make, times: int) -> None:
    """A join that takes its time comes at once when its case is made again. Only what is late again is held to be late."""
    slow = (
        "calls = globals().setdefault('calls', []); calls.append(1);"
        f" answer['ended'] = [{{'op': command['op'], 'returned': None}}] if len(calls) > {times} else []"
    )
    exploration = Exploration()
    with Agent(make(slow, {**HELLO, "rests": False})) as agent:
        case = replay(agent, 0, [Action(1, "subscribe", "s1")])
        assert "CH-2.5" in case.late
        exploration.add(case)
    assert (exploration.late["CH-2.5"] > 0) is (times > 1)


def test_joins_that_end_at_once_can_not_be_cancelled(make: Make) -> None:
    """CH-2.6 does not apply if every join has ended when its command is answered; if one has not, the rule is untested."""
    at_once = judged(make("answer['ended'] = [{'op': command['op'], 'returned': None}]"))
    later = judged(make())
    verdicts = [{each.rule: each for each in report.verdicts}["CH-2.6"] for report in (at_once, later)]
    assert verdicts[0].verdict == "not applicable"
    assert verdicts[0].evidence == "every join ended at its call, so none could be cancelled"
    assert verdicts[1].verdict != "not applicable"


def test_what_an_agent_does_without_is_not_asked_for(make: Make, tmp_path: Path) -> None:
    """No `next` and no `cancel` is sent to an agent that has neither, and no step to one that has none."""
    log = tmp_path / "log"
    hello = {**HELLO, "without": ["CH-4.7", "cancelling"]}
    noted = f"open({str(log)!r}, 'a').write(line) and answer.update(ended=[{{'op': command['op'], 'returned': None}}])"
    with Agent(make(noted, hello)) as agent:
        case = agent.case(0)
        report = judge(agent, frozenset(RULES), 20, 0)
        assert case.hung is None
    applicable = {verdict.rule for verdict in report.verdicts if verdict.verdict != "not applicable"}
    assert set(RULES) - applicable == {"CH-4.7", "CH-2.6", "CH-3.8", "CH-3.9", "CH-4.5", "CH-4.8"}


# The reports


def test_every_report_has_what_does_not_apply(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal, JSON, JUnit and HTML name the verdict `not applicable`, and why."""
    names = {name: tmp_path / f"report.{name}" for name in ("json", "junit", "html")}
    options = [text for name, path in names.items() for text in (f"--{name}", str(path))]
    assert main(["--agent", make(), "--max-examples", "1", *options]) == 1
    assert "not applicable  CH-5.4  Context managers" in capsys.readouterr().out
    (target,) = json.loads(names["json"].read_text(encoding="utf-8"))["targets"]
    verdicts = {rule["rule"]: rule["verdict"] for rule in target["rules"]}
    assert (
        target["without"] == [rule for rule in verdicts if verdicts[rule] == "not applicable"] == ["CH-1.1", "CH-5.4"]
    )
    skipped = ElementTree.parse(names["junit"]).findall(".//skipped")
    assert sum("does without it" in each.attrib["message"] for each in skipped) == 2
    assert names["html"].read_text(encoding="utf-8").count('class="mark not-applicable"') == 2


def test_a_claim_names_what_does_not_apply() -> None:
    """In a report that conforms, the line says without what."""
    verdicts = [Verdict(rule, RULES[rule].level, "pass", 1, "") for rule in RULES]
    verdicts[0] = verdicts[0]._replace(verdict="not applicable")
    report = Report("node agent.mjs", tuple(verdicts), 1, {})
    assert report.claim == "conforms, without CH-1.1"
    assert "conforms, without CH-1.1" in as_html([report], "1", 0)


def test_a_failure_is_kept_and_replayed_through_its_agent(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file names the agent; the commands beside it show the failure without the suite."""
    command, kept = make(), tmp_path / "kept"
    assert main(["--agent", command, "--max-examples", "1", "--failures", str(kept)]) == 1
    (file,) = kept.glob("*CH-2.5.txt")
    assert file.read_text(encoding="utf-8").splitlines()[1] == f"agent {command}"
    commands = [json.loads(line) for line in file.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    assert [each["do"] for each in commands[:3]] == ["hello", "new", "state"]
    capsys.readouterr()
    assert main(["--replay", str(file)]) == 1
    assert "a join waits" in capsys.readouterr().out
    assert main(["--replay", str(file), "aioservicekit"]) == 0


def test_a_check_can_not_be_replayed_through_an_agent(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named checks are programs in Python: status 2, and the line says so."""
    check = next(each for each in CHECKS if each.rule == "CH-5.4")
    file = tmp_path / "failure.txt"
    file.write_text(f"aioservicekit-conformance failure\ntarget a\nrule CH-5.4\ncheck {check.name}\n")
    assert main(["--replay", str(file), "--agent", make()]) == 2
    assert f"can't run a check, a program in Python: {check.name}" in capsys.readouterr().err


def test_the_specification_lists_what_may_be_done_without() -> None:
    """The published list is the one that the suite keeps to."""
    section = SPECIFICATION.read_text(encoding="utf-8").partition("## Agents")[2].partition("\n## ")[0]
    rows = [
        line.split("|")
        for line in section.partition("| in `without` |")[2].partition("\n\n")[0].splitlines()[2:]
        if line[:1] == "|"
    ]
    published = {row[1].strip(" `"): tuple(row[2].replace(",", "").split()) for row in rows}
    assert published == protocol.MAY_DO_WITHOUT
