"""The example in JavaScript, through its agent: the sound channel conforms, and each defect is refused and blamed on its rule."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from aioservicekit_conformance.agents.agent import Agent
from aioservicekit_conformance.judging import judge
from aioservicekit_conformance.verdicts import OPTIONAL, Report
from aioservicekit_model.rules import RULES

EXAMPLE = Path(__file__).parents[2] / "examples" / "agents" / "javascript"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

# The rules that each defect breaks, the text of channel.js that it changes, and what it makes of it.
DEFECTS = {
    "an aborted send stays in line": (
        {"CH-3.8"},
        "line.splice(line.indexOf(entry), 1);",
        "if (!entry.publisher) line.splice(line.indexOf(entry), 1);",
    ),
    "an aborted read stays in line": (
        {"CH-4.5"},
        "line.splice(line.indexOf(entry), 1);",
        "if (entry.publisher) line.splice(line.indexOf(entry), 1);",
    ),
    "endpoints leave one after the other": (
        {"CH-1.6"},
        "this.disconnect(...this.publishers, ...this.subscribers);",
        "for (const endpoint of [...this.publishers, ...this.subscribers]) this.disconnect(endpoint);",
    ),
    "a line that aborted sends leave is another one than that of the sends": (
        {"CH-3.8"},
        "const { sends } = this.channel;",
        "const { sends } = this.channel;\n    this.channel.sends = [...sends];\n    return this.leave(error);\n  }\n\n"
        "  leave(error) {\n    const { sends } = this.channel;",
    ),
    "a message that is false counts as none": (
        {"CH-2.4", "CH-4.2", "CH-4.6"},
        "if (this.buffer.length) {",
        "if (this.buffer[0]) {",
    ),
    "the last send in line commits first": ({"CH-3.5"}, "this.sends.shift()", "this.sends.pop()"),
    "a close drops what is buffered": (
        {"CH-4.2"},
        "for (const read of this.reads.splice(0))",
        "this.buffer = [];\n    for (const read of this.reads.splice(0))",
    ),
    "a close wakes no read": ({"CH-4.3"}, "for (const read of this.reads.splice(0)) read.reject(error);", ""),
    "a message overfills a buffer": ({"CH-3.2"}, "this.buffer.length >= this", "this.buffer.length > this"),
    "a subscriber that closes lets no send go on": ({"CH-5.3"}, "this.close();\n    this.commit();", "this.close();"),
}
TELLS_RESTS = "rests: true"
ALWAYS = "an aborted send stays in line"  # the others take longer, together

DOCUMENT = Path(__file__).parents[2] / "specs" / "real-agents.md"

Judge = Callable[..., Report]


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[Judge]:
    """Judges channel.js with a part of it replaced, through an agent that can tell rests or can't."""
    with ExitStack() as agents:

        def judged(old: str = "", new: str = "", cases: int = 40, *, rests: bool = True) -> Report:
            for file, before, after in (
                ("channel.js", old, new),
                ("agent.mjs", TELLS_RESTS, f"rests: {rests}".lower()),
            ):
                source = (EXAMPLE / file).read_text(encoding="utf-8")
                assert not before or source.count(before) == 1
                (tmp_path / file).write_text(source.replace(before, after), encoding="utf-8")
            agent = agents.enter_context(Agent(f"node '{tmp_path / 'agent.mjs'}'"))
            return judge(agent, frozenset(RULES), cases, 0)

        yield judged


@needs_node
def test_the_sound_channel_conforms_without_what_javascript_does_not_have(judged: Judge) -> None:
    """Every rule that the agent does not do without is judged and kept; the claim names the others."""
    report = judged(cases=60)
    assert {v.rule for v in report.verdicts if v.verdict not in ("pass", "not applicable")} <= OPTIONAL
    assert report.claim == "conforms, without CH-1.1, CH-2.3, CH-3.9, CH-4.8, CH-5.4, CH-7.2, CH-7.3"


@needs_node
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == ALWAYS else [pytest.mark.defects]) for name in DEFECTS]
)
def test_a_defect_is_refused_and_blamed(judged: Judge, name: str) -> None:
    """The broken rule fails, and no other one; its history is short, and comes with the commands that show it."""
    rules, old, new = DEFECTS[name]
    report = judged(old, new)
    failed = {verdict.rule: verdict for verdict in report.verdicts if verdict.verdict == "fail"}
    assert set(failed) == rules
    for verdict in failed.values():
        assert 0 < len(verdict.history) <= 25
        assert verdict.commands.startswith('{"do":"hello"')
    assert report.claim == "does not conform"


@needs_node
def test_a_sound_channel_conforms_though_its_agent_can_not_tell_rests(judged: Judge) -> None:
    """All that ought to go on was seen to go on: the same claim holds as with an agent that can tell."""
    report = judged(cases=20, rests=False)
    assert report.claim == "conforms, without CH-1.1, CH-2.3, CH-3.9, CH-4.8, CH-5.4, CH-7.2, CH-7.3"


@needs_node
@pytest.mark.parametrize(
    "name",
    ["a subscriber that closes lets no send go on", pytest.param("a close wakes no read", marks=pytest.mark.defects)],
)
def test_what_never_goes_on_is_not_passed_though_the_agent_can_not_tell_rests(judged: Judge, name: str) -> None:
    """It may be late, so nothing fails; the broken rule and those that it may be mistaken for are `untested`."""
    (rule,), old, new = DEFECTS[name]
    verdicts = {verdict.rule: verdict for verdict in judged(old, new, 20, rests=False).verdicts}
    assert verdicts[rule].verdict == "untested"
    assert "the agent can't tell rests" in verdicts[rule].evidence
    assert verdicts["CH-3.6"].verdict == "pass"


def test_the_report_on_rxjs_says_what_rxjs_does_instead() -> None:
    """The printed matrix has a note for each rule that RxJS fails, and no failure of the example."""
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| CH-")]
    assert {verdict for _, verdict, _ in rows} == {"·", "n/a"}
    failing = {rule for rule, _, verdict in rows if verdict == "**×**"}
    notes = set(re.findall(r"^\*\*(CH-[\d.]+)\*\*: ", text, re.MULTILINE))
    assert failing == notes == {"CH-2.1", "CH-3.2", "CH-3.7"}
