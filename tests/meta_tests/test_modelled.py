"""The kill matrix: the model as an implementation, with each rule relaxed, is refused and blamed on that rule."""

from pathlib import Path

import pytest
from kill_matrix import DOCUMENT, RELAXED, as_markdown, failing, judged
from replays import assert_replays

from aioservicekit_conformance.modelled import target_without
from aioservicekit_conformance.target import TargetError, load


@pytest.mark.parametrize("seed", range(3))
def test_the_strict_model_is_a_sound_channel(seed: int) -> None:
    """A channel that the model drives keeps every rule, whatever the seed."""
    report = judged("aioservicekit_conformance.modelled:strict", seed)
    assert {v.verdict for v in report.verdicts if v.rule < "CH-6"} == {"pass"}


@pytest.mark.defects
@pytest.mark.parametrize("rule", RELAXED)
def test_a_relaxed_model_is_blamed_on_its_rule(rule: str, tmp_path: Path) -> None:
    """With one rule relaxed, and what it forbids preferred, that rule fails, and no other."""
    target = target_without(rule)
    report = judged(target)
    assert failing(report) == {rule}
    for verdict in report.verdicts:
        if verdict.verdict == "fail":
            assert_replays(load(target), verdict, tmp_path)


def test_the_printed_matrix_is_what_comes_out() -> None:
    """The document has the full diagonal and nothing else, as the test above finds."""
    assert DOCUMENT.read_text(encoding="utf-8") == as_markdown({rule: {rule} for rule in RELAXED})


def test_only_rules_of_the_table_can_be_relaxed() -> None:
    """A target that relaxes an unknown rule can't be loaded."""
    with pytest.raises(TargetError, match="without_CH_9_9"):
        load("aioservicekit_conformance.modelled:without_CH_9_9")
