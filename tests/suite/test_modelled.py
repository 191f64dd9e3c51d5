"""The kill matrix: the model as an implementation, with each rule relaxed, is refused and blamed on this rule."""

from pathlib import Path

import pytest
from kill_matrix import DOCUMENT, RELAXED, as_markdown, explained, failing, judged
from replays import assert_replays

from aioservicekit_conformance.modelled import target_without
from aioservicekit_conformance.target import TargetError, load


@pytest.mark.parametrize("seed", range(3))
def test_the_strict_model_is_a_sound_channel(seed: int) -> None:
    """Driven by the model, a channel keeps every rule, whatever the seed."""
    report = judged("aioservicekit_conformance.modelled:strict", seed)
    assert {v.verdict for v in report.verdicts if v.rule < "CH-6"} == {"pass"}


@pytest.mark.defects
@pytest.mark.parametrize("rule", RELAXED)
def test_a_relaxed_model_is_blamed_on_its_rule(rule: str, tmp_path: Path) -> None:
    """With one rule relaxed, and what it forbids preferred, that rule fails, and no other but those that are explained."""
    target = target_without(rule)
    report = judged(target)
    if not failing(report) <= explained(rule):  # which cases a seed makes depends on what else this process has loaded
        report = judged(target, seed=1)
    assert rule in failing(report)
    assert failing(report) <= explained(rule)
    replayed = [assert_replays(load(target), v, tmp_path) for v in report.verdicts if v.history]
    assert replayed or rule in ("CH-2.3", "CH-5.4"), "only what no history shows has nothing to replay"


def test_the_printed_matrix_is_what_comes_out() -> None:
    """The document has the full diagonal, and beside it what is explained: what the test above lets pass, and no more."""
    assert DOCUMENT.read_text(encoding="utf-8") == as_markdown({rule: explained(rule) for rule in RELAXED})


def test_only_rules_of_the_table_can_be_relaxed() -> None:
    """A target that relaxes a rule that there is not can't be loaded."""
    with pytest.raises(TargetError, match="without_CH_9_9"):
        load("aioservicekit_conformance.modelled:without_CH_9_9")
