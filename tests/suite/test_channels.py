"""The suite itself is tested: it accepts channels that keep the rules, whatever their mechanics, and refuses those that don't."""

import pytest
from channels.defective import DEFECTS
from channels.sound import SOUND

from aioservicekit_conformance import checks
from aioservicekit_conformance.target import describe
from aioservicekit_conformance.verdict import Report, judge
from aioservicekit_model.rules import RULES

EXAMPLES = 150  # `RARE` has the defects that take more
RARE = {"woken_readers_queue_again": 1500, "checks_long_before_it_registers": 1500}


def judged(name: str, target: object, max_examples: int) -> Report:
    return judge(describe(name, target), frozenset(RULES), max_examples, 0, lambda: None)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_channel_is_accepted(name: str) -> None:
    """Nothing but the rules counts: each of these sound channels works in a way of its own."""
    report = judged(name, SOUND[name], EXAMPLES)
    assert [(v.rule, v.verdict) for v in report.verdicts if v.verdict not in ("pass", "untested")] == []
    assert {v.rule for v in report.verdicts if v.verdict == "untested"} - set(checks.UNTESTED) <= {"CH-1.5"}


@pytest.mark.defects
@pytest.mark.parametrize("name", DEFECTS)
def test_a_defective_channel_is_refused(name: str) -> None:
    """Each defect is refused, with what was expected and observed and, if it shows in a history, a short one."""
    report = judged(name, DEFECTS[name].target, RARE.get(name, EXAMPLES))
    failed = [verdict for verdict in report.verdicts if verdict.verdict == "fail"]
    assert failed, f"{DEFECTS[name].why} ({DEFECTS[name].rule})"
    assert not report.conforms
    for verdict in failed:
        assert verdict.expected
        assert verdict.observed


def test_every_judged_rule_has_a_defect() -> None:
    """There is a planted defect for each rule of CH-1 to CH-5."""
    assert {defect.rule for defect in DEFECTS.values()} >= set(RULES) - set(checks.UNTESTED)
