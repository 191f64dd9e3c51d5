"""The lines by which the channel is judged: what may cost how much, compared with what."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .measure import Key, Record, Spread, ratio
from .peers import CULSANS, CULSANS_LOOPS, FLOOR, JANUS, OLD, OURS, QUEUE, SWITCH, Peer
from .plan import FEW, MANY

__all__ = ["LINES", "Line", "Verdict", "judge"]


class Line(NamedTuple):
    """A bound on ratios.

    Attributes:
        compared: given a measurement, the one to compare its cost with; None if the line is not about it.
        at_least: whether the ratio must be at least the bound, or else at most the bound.
        judged: whether a miss counts, or is only shown.
    """

    text: str
    bound: float
    at_least: bool
    compared: Callable[[Key], Key | None]
    judged: bool = True

    def holds(self, measured: Spread) -> bool:
        """Whether a ratio keeps the bound."""
        return measured.median >= self.bound if self.at_least else measured.median <= self.bound


class Verdict(NamedTuple):
    """The outcome of a line on one loop.

    Attributes:
        ratios: each of its ratios, by the measurement that was compared.
        missing: what could not be measured, and why.
        worst: the key of the ratio that is nearest to the bound, or furthest beyond it.
    """

    line: Line
    loop: str
    ratios: dict[Key, Spread]
    missing: dict[Key, str]
    missed: list[Key]

    @property
    def worst(self) -> Key:
        return (min if self.line.at_least else max)(self.ratios, key=lambda key: self.ratios[key].median)

    @property
    def word(self) -> str:
        """`ok`, `MISSED`, or that nothing was measured; in brackets if it is only shown."""
        if any(key.peer == OURS.name for key in self.missing):
            return "MISSED"
        word = "MISSED" if self.missed else "ok" if self.ratios else "not measured"
        return word if self.line.judged else f"({word.lower()})"


def peers(
    work: str, over: Peer, under: Peer, counts: range = range(10**9), buffers: tuple[int, ...] = (0, 1, 64)
) -> Callable[[Key], Key | None]:
    """A bound on the cost of one peer relative to another, in the same work."""

    def compared(key: Key) -> Key | None:
        about = key.work == work and key.peer == over.name and key.crowd in counts and key.buffer in buffers
        return key._replace(peer=under.name) if about else None

    return compared


def growth(work: str, few: int, many: int, peer: Peer = OURS) -> Callable[[Key], Key | None]:
    """A bound on the cost of the same peer beside many others, relative to beside few."""

    def compared(key: Key) -> Key | None:
        return key._replace(crowd=few) if (key.work, key.peer, key.crowd) == (work, peer.name, many) else None

    return compared


ONE, MORE = range(1, 2), range(10, 10**9)

LINES = [
    Line("one subscriber: asyncio.Queue to ours", 0.95, True, peers("behind", QUEUE, OURS, ONE)),
    Line("ten and more: a queue per subscriber to ours", 2.0, True, peers("behind", QUEUE, OURS, MORE)),
    Line("one subscriber: ours to the floor", 1.5, False, peers("behind", OURS, FLOOR, ONE), False),
    Line("ten and more: ours to the floor", 1.5, False, peers("behind", OURS, FLOOR, MORE)),
    Line("10,000 subscribers to 10", 1.3, False, growth("behind, scale", FEW, MANY)),
    Line("1,000 blocked senders to 10", 1.5, False, growth("blocked", 10, 1_000)),
    Line("blocked senders: asyncio.Queue to ours", 1.5, True, peers("blocked", QUEUE, OURS)),
    *(
        Line(f"4 threads, {words}: {name} to ours", bound, True, peers("threads", peer, OURS, buffers=(buffer,)))
        for buffer, words, bound in ((0, "unbounded", 1.5), (1, "buffer 1", 1.3), (64, "buffer 64", 1.8))
        for name, peer in (("culsans", CULSANS), ("culsans, from loops,", CULSANS_LOOPS), ("janus", JANUS))
    ),
    Line("0.6.0 to ours, buffers larger than 1", 10.0, True, peers("behind", OLD, OURS, buffers=(0, 64))),
    Line("waiting, one: asyncio.Queue to ours", 0.95, True, peers("waiting", QUEUE, OURS, ONE)),
    Line("waiting, ten and more: a queue each to ours", 1.0, True, peers("waiting", QUEUE, OURS, MORE)),
    Line("waiting: ours to floor + task switch", 1.5, False, peers("waiting", OURS, SWITCH), False),
    Line("waiting: 10,000 subscribers to 10", 1.3, False, growth("waiting, scale", FEW, MANY), False),
    Line("waiting: 0.6.0 to ours", 10.0, True, peers("waiting", OLD, OURS, buffers=(0, 64)), False),
    Line("the queues' own: 10,000 to 10", 1.3, False, growth("behind, scale", FEW, MANY, QUEUE), False),
    Line("the floor's own: 10,000 to 10", 1.3, False, growth("behind, scale", FEW, MANY, FLOOR), False),
]


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Judge each line on each loop that has measurements."""
    by_key = {record.key: record for record in records}
    loops = dict.fromkeys(key.loop for key in by_key if key.loop != "any")
    return [verdict(line, loop, by_key) for line in LINES for loop in loops]


def verdict(line: Line, loop: str, records: dict[Key, Record]) -> Verdict:
    ratios: dict[Key, Spread] = {}
    missing: dict[Key, str] = {}
    for key, record in records.items():
        other = line.compared(key)
        if key.loop != loop or other not in records:
            continue
        absent = [each for each in (record, records[other]) if each.reason]
        missing.update({each.key: each.reason for each in absent})
        if not absent:
            ratios[key] = ratio(record, records[other])
    missed = [key for key, measured in ratios.items() if not line.holds(measured)]
    return Verdict(line, loop, ratios, missing, missed)
