"""The suite itself is tested: it accepts channels that keep the rules, however they work, and refuses those that don't."""

import sys
from pathlib import Path

import pytest
from channels.defective import DEFECTS
from channels.sound import SOUND
from replays import assert_replays

from aioservicekit_conformance.judging import judge
from aioservicekit_conformance.target import describe
from aioservicekit_conformance.verdicts import OPTIONAL, Report, Verdict
from aioservicekit_model.rules import RULES

EXAMPLES = 100  # `RARE` has the defects that take more
RARE = {"woken_readers_queue_again": 1500}


# Refused, but blamed on a neighbour of the broken rule, or on other rules too, which also explain what is seen. No defect may
# join this list without a reason.
BLAMED_ELSEWHERE = {
    "subscribers_outlive_the_channel",
    "drops_equal_messages",
    "woken_senders_dont_look_again",
    "closes_in_a_task",
    "closes_in_two_halves",
    "second_close_counts_again",  # it closes a channel that has endpoints on both sides, which CH-1.3 forbids too
}


# Rules that a defect breaks in addition to its own.
BESIDE = {
    "drops_false_messages": {"CH-3.4"},  # a message that can't say whether it is true makes its send fail
    # The join that is refused has joined.
    "registers_before_it_checks": {"CH-2.6"},
    "closes_the_refused": {"CH-2.6"},
    "cancelled_sends_return": {"CH-3.9"},  # a task that sends again and again never ends
    "sends_ignore_cancelling": {"CH-3.9"},
    "reads_ignore_cancelling": {"CH-4.8"},
    # What replays a message, or forgets to take something out of a list, refers to it.
    "replays_the_last": {"CH-7.1"},
    "replays_all": {"CH-7.1"},
    "receives_from_the_first_read": {"CH-7.1"},
    "cancelled_sends_stay_in_line": {"CH-7.1"},
    "closed_subscribers_hold_back": {"CH-7.1"},
    "closed_subscribers_receive": {"CH-7.1"},
}


def judged(name: str, target: object, max_examples: int, seed: int = 0) -> Report:
    return judge(describe(name, target), frozenset(RULES), max_examples, seed)


def failures(report: Report) -> list[Verdict]:
    return [verdict for verdict in report.verdicts if verdict.verdict == "fail"]


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_channel_is_accepted(name: str) -> None:
    """Only the rules count: each of these sound channels works in a different way."""
    report = judged(name, SOUND[name], EXAMPLES)
    assert [(v.rule, v.verdict) for v in report.verdicts if v.verdict not in ("pass", "untested")] == []
    assert {v.rule for v in report.verdicts if v.verdict == "untested"} - OPTIONAL <= {"CH-1.5"}


@pytest.mark.parametrize(
    ("name", "rule"), [("sends_suspend_after_the_commit", "CH-3.9"), ("reads_suspend_after_the_taking", "CH-4.8")]
)
def test_what_raises_after_its_effect_passes_neither_rule(name: str, rule: str) -> None:
    """The cases blame CH-3.8 or CH-4.5, and the other rule is broken too, also where it alone is judged."""
    report = judge(describe(name, DEFECTS[name].target), frozenset({rule}), EXAMPLES, 0)
    assert [(v.rule, v.verdict) for v in report.verdicts] == [(rule, "masked")]
    assert not report.conforms


@pytest.mark.defects
@pytest.mark.parametrize("name", DEFECTS)
def test_a_defective_channel_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each defect is refused, with what was expected and observed, and is kept as a file that replays."""
    report = judged(name, DEFECTS[name].target, RARE.get(name, EXAMPLES))
    failed = failures(report)
    rules = {DEFECTS[name].rule, *BESIDE.get(name, ())}
    assert failed, f"{DEFECTS[name].why} ({DEFECTS[name].rule})"
    assert not report.conforms
    assert {verdict.verdict for verdict in report.verdicts if verdict.rule == DEFECTS[name].rule} <= {"fail", "masked"}
    if name not in BLAMED_ELSEWHERE and {verdict.rule for verdict in failed} != rules:
        # So few cases were made; more of them show more.
        failed = failures(judged(name, DEFECTS[name].target, 10 * EXAMPLES, seed=1))
        assert {verdict.rule for verdict in failed} == rules, DEFECTS[name].why
    for verdict in failed:
        assert verdict.expected
        assert verdict.observed
        monkeypatch.setitem(sys.modules, name, DEFECTS[name].target)
        assert_replays(describe(name, DEFECTS[name].target), verdict, tmp_path)


def test_nine_in_ten_defects_are_blamed_on_their_rule_alone() -> None:
    """The list of other defects is short, and names existing ones."""
    assert set(DEFECTS) >= BLAMED_ELSEWHERE
    assert len(BLAMED_ELSEWHERE) <= len(DEFECTS) / 10


def test_every_judged_rule_has_a_defect() -> None:
    """There is a planted defect for each rule of CH-1 to CH-5."""
    assert {defect.rule for defect in DEFECTS.values()} >= set(RULES) - OPTIONAL
