"""The benchmarks' lines are missed when they should be."""

import pytest

from benchmarks.document import COST_MODEL, RESULTS, table, with_table
from benchmarks.lines import LINES, judge
from benchmarks.measure import Key, Record
from benchmarks.peers import OURS, QUEUE


def records(ours: float, queue: float, crowd: int = 10) -> list[Record]:
    """Samples of readers behind that differ a little."""
    return [
        Record(Key("behind", "asyncio", 64, crowd, peer.name), 1, [cost * noise for noise in (0.98, 1.0, 1.03)], 100)
        for peer, cost in ((OURS, ours), (QUEUE, queue))
    ]


@pytest.mark.parametrize(("queue", "word"), [(2.1, "ok"), (1.9, "MISSED")])
def test_a_line_is_missed_below_its_bound(queue: float, word: str) -> None:
    """With ten subscribers, one queue per subscriber must cost twice as much."""
    verdicts = [verdict for verdict in judge(records(1.0, queue)) if verdict.ratios]
    assert [(verdict.line.text, verdict.word) for verdict in verdicts] == [
        ("ten and more: a queue per subscriber to ours", word)
    ]
    (ratio,) = verdicts[0].ratios.values()
    assert ratio.median == pytest.approx(queue)


def test_the_cost_model_has_the_figures_that_were_measured() -> None:
    """The cost model's table is what the command makes from the kept results."""
    text = COST_MODEL.read_text(encoding="utf-8")
    assert with_table(text, table(RESULTS)) == text


def test_a_peer_that_was_not_measured_misses_nothing_and_ours_misses_all() -> None:
    """The report names what could not be measured; if that is our channel, it is a failure."""
    ours, queue = records(1.0, 2.0)
    absent = Record(queue.key, 1, reason="not installed")
    assert {verdict.word for verdict in judge([ours, absent]) if verdict.missing} == {"not measured"}
    absent = Record(ours.key, 1, reason="stuck")
    assert "MISSED" in {verdict.word for verdict in judge([absent, queue]) if verdict.missing}


def test_each_line_says_what_it_compares() -> None:
    """No two lines have the same text."""
    assert len({line.text for line in LINES}) == len(LINES)
