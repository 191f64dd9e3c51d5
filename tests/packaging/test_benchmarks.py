"""The benchmarks: lines are missed when they should be."""

import pytest

from benchmarks.__main__ import NOISE
from benchmarks.lines import LINES, judge
from benchmarks.measure import Key, Record
from benchmarks.peers import OURS, QUEUE


def records(ours: float, queue: float, crowd: int = 10) -> list[Record]:
    """Samples of readers behind, which differ a little."""
    return [
        Record(Key("behind", "asyncio", 64, crowd, peer.name), 1, [cost * noise for noise in (0.98, 1.0, 1.03)], 100)
        for peer, cost in ((OURS, ours), (QUEUE, queue))
    ]


@pytest.mark.parametrize(
    ("queue", "noise", "word"),
    [(1.6, 0.0, "ok"), (1.4, 0.0, "MISSED"), (1.4, NOISE, "ok"), (1.3, NOISE, "MISSED")],
)
def test_a_line_is_missed_by_more_than_the_noise(queue: float, noise: float, word: str) -> None:
    """At ten subscribers one queue a subscriber has to cost 1.5 times as much; the guard allows for the noise."""
    verdicts = [verdict for verdict in judge(records(1.0, queue), noise) if verdict.ratios]
    assert [(verdict.line.text, verdict.word) for verdict in verdicts] == [
        ("ten and more: a queue a subscriber to ours", word)
    ]
    (ratio,) = verdicts[0].ratios.values()
    assert ratio.median == pytest.approx(queue)


def test_a_peer_that_was_not_measured_misses_nothing_and_ours_misses_all() -> None:
    """What could not be measured is said; if it is our own channel, that is a failure."""
    ours, queue = records(1.0, 2.0)
    absent = Record(queue.key, 1, reason="not installed")
    assert {verdict.word for verdict in judge([ours, absent]) if verdict.missing} == {"not measured"}
    absent = Record(ours.key, 1, reason="stuck")
    assert "MISSED" in {verdict.word for verdict in judge([absent, queue]) if verdict.missing}


def test_each_line_says_what_it_compares() -> None:
    """No two lines have the same text."""
    assert len({line.text for line in LINES}) == len(LINES)
