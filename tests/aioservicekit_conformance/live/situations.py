"""What a live history could have shown: for each rule, the situation without which nobody could break it.

The situations are necessary, not sufficient: a rule whose situation never came is `untested`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import NamedTuple

from aioservicekit_model.channel.history import JOINS, READS

from .recording import Recorded

__all__ = ["SHOWN_BY", "SITUATIONS", "lives_in", "situations"]


class Life(NamedTuple):
    """An operation from its call to its end; the numbers are indices in the history.

    Attributes:
        value: of a `send` or a `subscribe`, what it was called with.
        settled: when it was first seen to suspend; None if it never was.
        how: "return", "raise" or "abandon"; "" if it goes on for ever.
        result: what it returned, or the name of its error.
    """

    kind: str
    on: str
    value: object
    thread: int
    called: int
    ended: int
    settled: int | None = None
    cancelled: bool = False
    how: str = ""
    result: object = None

    def overlaps(self, other: "Life") -> bool:
        return self.called < other.ended and other.called < self.ended

    def waited_at(self, instant: int) -> bool:
        return self.settled is not None and self.settled < instant < self.ended


Lives = list[Life]


def lives_in(recorded: Iterable[Recorded]) -> Lives:
    """The operations of a history, in the order of their calls."""
    events = list(recorded)
    lives: dict[int, Life] = {}
    for at, (thread, event) in enumerate(events):
        match event.what:
            case "call":
                lives[event.op] = Life(event.kind, event.on, event.value, thread, at, len(events))
            case "settle":
                lives[event.op] = lives[event.op]._replace(settled=at)
            case "cancel":
                lives[event.op] = lives[event.op]._replace(cancelled=True)
            case "return" | "raise" | "abandon":
                lives[event.op] = lives[event.op]._replace(ended=at, how=event.what, result=event.value)
    return list(lives.values())


def of(lives: Lives, *kinds: str, how: str = "") -> Lives:
    return [each for each in lives if each.kind in kinds and how in ("", each.how)]


def waiting(lives: Lives, *kinds: str, how: str = "") -> Lives:
    return [each for each in of(lives, *kinds, how=how) if each.settled is not None]


def closings(lives: Lives, first_letter: str) -> Lives:
    """Closings of the channel, of publishers or of subscribers; their names begin with c, p or s."""
    return [each for each in of(lives, "close") if each.on[0] == first_letter]


def delivered(lives: Lives) -> Iterator[tuple[object, int]]:
    """Messages, each with the number of the subscribers by which it was read."""
    yield from Counter(
        message for _, message in {(each.on, each.result) for each in of(lives, *READS, how="return")}
    ).items()


def before(lives: Lives, *kinds: str) -> float:
    """When the first operation of these kinds has ended."""
    return min((each.ended for each in of(lives, *kinds, how="return")), default=float("inf"))


Shown = Callable[[Lives], bool]

# fmt: off
SITUATIONS: dict[str, Shown] = {
    "both sides have joined":             lambda all_: all(of(all_, kind, how="return") for kind in JOINS),
    "the channel closes":                 lambda all_: bool(closings(all_, "c")),
    "an endpoint closes":                 lambda all_: bool(closings(all_, "p") or closings(all_, "s")),
    "an endpoint closes before the other side joins": lambda all_: any(
        each.called < max(before(all_, "connect"), before(all_, "subscribe")) for each in of(all_, "close")),
    "a join is asked to cancel":          lambda all_: any(each.cancelled for each in of(all_, *JOINS)),
    "a send with no subscriber":          lambda all_: any(
        each.called < before(all_, "subscribe") and each.how == "return" for each in of(all_, "send")),
    "a send waits":                       lambda all_: bool(waiting(all_, "send")),
    "a send that waited returns":         lambda all_: bool(waiting(all_, "send", how="return")),
    "a send that waited fails":           lambda all_: any(not each.cancelled for each in waiting(all_, "send", how="raise")),
    "two sends wait at once":             lambda all_: any(
        one.overlaps(other) for one, other in combinations(waiting(all_, "send"), 2)),
    "a cancelled send raises":            lambda all_: any(each.cancelled for each in of(all_, "send", how="raise")),
    "a cancelled send returns":           lambda all_: any(each.cancelled for each in of(all_, "send", how="return")),
    "a message is read":                  lambda all_: bool(of(all_, *READS, how="return")),
    "a message is read by two":           lambda all_: any(count > 1 for _, count in delivered(all_)),
    "two messages are read by two":       lambda all_: sum(count > 1 for _, count in delivered(all_)) > 1,
    "a message is read after the end":    lambda all_: any(
        read.called > close.ended for close in closings(all_, "c") for read in of(all_, *READS, how="return")),
    "two reads of one subscriber wait":   lambda all_: any(
        one.on == other.on and one.overlaps(other) for one, other in combinations(waiting(all_, *READS), 2)),
    "a read that waited returns":         lambda all_: bool(waiting(all_, *READS, how="return")),
    "a read that waited fails":           lambda all_: any(not each.cancelled for each in waiting(all_, *READS, how="raise")),
    "a cancelled read raises":            lambda all_: any(each.cancelled for each in of(all_, *READS, how="raise")),
    "a cancelled read returns":           lambda all_: any(each.cancelled for each in of(all_, *READS, how="return")),
    "a step of an iteration":             lambda all_: bool(of(all_, "next")),
    "a publisher closes while sends wait": lambda all_: any(
        send.waited_at(close.called) for close in closings(all_, "p") for send in of(all_, "send")),
    "a subscriber closes while sends wait": lambda all_: any(
        send.waited_at(close.called) for close in closings(all_, "s") for send in of(all_, "send")),
    "operations of two threads overlap":  lambda all_: any(
        one.thread != other.thread and one.overlaps(other) for one, other in combinations(all_, 2)),
    "an operation that waited ends beside another thread": lambda all_: any(
        one.thread != other.thread and one.overlaps(other) and one.settled is not None and one.how in ("return", "raise")
        for one in waiting(all_, "send", *READS) for other in all_),
    "a loop closes with operations on it": lambda all_: any(each.how == "abandon" for each in all_),
}

SHOWN_BY = {
    "CH-1.2": "both sides have joined",          "CH-1.3": "an endpoint closes",
    "CH-1.4": "the channel closes",              "CH-1.5": "an endpoint closes before the other side joins",
    "CH-1.6": "the channel closes",              "CH-1.7": "the channel closes",
    "CH-2.1": "the channel closes",              "CH-2.2": "a send waits",
    "CH-2.4": "a message is read",               "CH-2.5": "both sides have joined",
    "CH-2.6": "a join is asked to cancel",
    "CH-3.1": "a message is read by two",        "CH-3.2": "a send waits",
    "CH-3.3": "a send with no subscriber",       "CH-3.4": "a send that waited returns",
    "CH-3.5": "two sends wait at once",          "CH-3.6": "two messages are read by two",
    "CH-3.7": "a send that waited fails",        "CH-3.8": "a cancelled send raises",
    "CH-3.9": "a cancelled send returns",
    "CH-4.1": "a message is read",               "CH-4.2": "a message is read after the end",
    "CH-4.3": "a read that waited fails",        "CH-4.4": "two reads of one subscriber wait",
    "CH-4.5": "a cancelled read raises",         "CH-4.6": "a read that waited returns",
    "CH-4.7": "a step of an iteration",          "CH-4.8": "a cancelled read returns",
    "CH-5.1": "the channel closes",              "CH-5.2": "a publisher closes while sends wait",
    "CH-5.3": "a subscriber closes while sends wait",
    "CH-6.1": "operations of two threads overlap",
    "CH-6.2": "an operation that waited ends beside another thread",
    "CH-6.3": "a loop closes with operations on it",
}
# fmt: on


def situations(recorded: Iterable[Recorded]) -> frozenset[str]:
    """The situations that have come about in a run."""
    lives = lives_in(recorded)
    return frozenset(name for name, shown in SITUATIONS.items() if shown(lives))
