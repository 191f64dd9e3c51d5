"""Measure contestants side by side: one short sample of each, then again, so that a disturbance affects all alike.

Ratios are taken within a round, where the two samples are neighbours in time, and the result is the median of the rounds' ratios.
On a machine that others use too, this is far steadier than the ratio of two medians.
"""

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any, NamedTuple

from .peers import Missing
from .work import Sample

__all__ = ["Effort", "Key", "Record", "Spread", "measure", "ratio", "within"]


class Effort(NamedTuple):
    """The number of rounds, and how long a sample should and may take; slower contestants are left out."""

    rounds: int
    seconds: float
    longest: float


class Key(NamedTuple):
    """What is measured: the work of one peer. `crowd` is the number of subscribers, senders, threads or others."""

    work: str
    loop: str
    buffer: int
    crowd: int
    peer: str


class Spread(NamedTuple):
    """The median and its two quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        low, _, high = quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
        return cls(median(values), low, high)


@dataclass(frozen=True)
class Record:
    """The measurements of one key.

    Attributes:
        together: records with the same number were measured in the same rounds, and their samples can be compared one by one.
        samples: seconds or bytes per operation, one per round.
        operations: the number of operations in a sample.
        reason: why there are no samples.
    """

    key: Key
    together: int
    samples: list[float] = field(default_factory=list)
    operations: int = 0
    reason: str = ""

    @property
    def spread(self) -> Spread:
        return Spread.of(self.samples)

    def as_json(self) -> dict[str, Any]:
        spread = self.spread._asdict() if self.samples else None
        return {**self.key._asdict(), **{k: v for k, v in asdict(self).items() if k != "key"}, "spread": spread}


def ratio(over: Record, under: Record) -> Spread:
    """How many times as much the first costs as the second."""
    assert over.together == under.together, f"{over.key} and {under.key} were not measured together"
    return Spread.of([a / b for a, b in zip(over.samples, under.samples, strict=True)])


def measure(together: int, contestants: Mapping[Key, Callable[[int], Sample]], effort: Effort) -> list[Record]:
    """Sample all contestants in turn, in a different order each round.

    Args:
        contestants: functions that do an amount of work and return how long it took; a `Missing` says why one can't.
    """
    amounts: dict[Key, int] = {}
    reasons: dict[Key, str] = {}
    samples: dict[Key, list[Sample]] = {}

    def attempt(key: Key, action: Callable[[], None]) -> None:
        gc.collect()
        gc.disable()
        try:
            action()
        except (Missing, AssertionError) as error:
            reasons[key] = str(error)
        finally:
            gc.enable()

    for key, run in contestants.items():
        attempt(key, lambda key=key, run=run: amounts.update({key: calibrated(run, effort)}))  # type: ignore[misc]
    for number in range(effort.rounds):
        keys = [key for key in contestants if key not in reasons]
        first = number * len(keys) // effort.rounds
        for key in keys[first:] + keys[:first]:
            attempt(key, lambda key=key: samples.setdefault(key, []).append(contestants[key](amounts[key])))  # type: ignore[misc]
    return [
        Record(key, together, reason=reasons[key])
        if key in reasons
        else Record(key, together, [s.seconds / s.operations for s in samples[key]], samples[key][0].operations)
        for key in contestants
    ]


def calibrated(run: Callable[[int], Sample], effort: Effort) -> int:
    """Find the amount of work that takes about this long, and so do all one-time work."""
    amount = 1
    while (taken := run(amount).seconds) < effort.seconds / 3:
        amount *= max(2, min(10, int(effort.seconds / max(taken, 1e-9)) // 2))
    if taken > effort.longest and amount == 1:
        raise Missing(f"too slow: the smallest amount of work takes {taken:.1f} s")
    return max(1, round(amount * effort.seconds / taken))


async def within(seconds: float, work: Awaitable[Sample]) -> Sample:
    """Give up what takes longer. A thread keeps the time, since a timer would add work to each turn of the loop."""
    task, loop, late = asyncio.current_task(), asyncio.get_running_loop(), threading.Event()
    assert task is not None

    def give_up() -> None:
        late.set()
        loop.call_soon_threadsafe(task.cancel)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        return await work
    except asyncio.CancelledError:
        if late.is_set():
            for other in asyncio.all_tasks() - {task}:
                other.cancel()
            raise Missing(f"stuck: given up after {seconds:.0f} s") from None
        raise
    finally:
        timer.cancel()
