"""Live histories: operations overlap, in no order but what is certain; a plain search and a fast one judge them alike."""

from collections import Counter
from random import Random

import pytest
from live_histories import MESSAGES, changed, walk

from aioservicekit_conformance.exploring.scripts import SCRIPTS, parse
from aioservicekit_conformance.running.case import replay
from aioservicekit_conformance.target import load
from aioservicekit_model.channel import foresight, live
from aioservicekit_model.channel.checker import TooManyStates, first_refused
from aioservicekit_model.channel.history import (
    CANCELLED,
    CLOSED,
    JOINS,
    Event,
    abandon,
    call,
    cancel,
    raised,
    rest,
    returned,
    settle,
)


def done(
    number: int, kind: str, on: str, value: int | str | None = None, result: int | str | None = None
) -> list[Event]:
    return [call(number, kind, on, value), returned(number, result)]


def read(number: int, message: int, on: str = "s") -> list[Event]:
    return done(number, "read", on, result=message)


PAIR = [*done(101, "subscribe", "s"), *done(102, "connect", "p")]
ROOMY = [*done(101, "subscribe", "s", 0), *done(102, "connect", "p")]
OVERLAPPING = [*PAIR, call(1, "send", "p", 1), call(2, "send", "p", 2)]
FULL = [*PAIR, *done(9, "send", "p", 9)]
HANDED = [*PAIR, call(1, "read", "s"), rest(), *done(2, "send", "p", 2), abandon(1)]
CLOSE = done(50, "close", "channel")

PERMITTED = {
    "sends that overlap commit in the order of their calls": (
        0,
        [*OVERLAPPING, returned(1), returned(2), *read(3, 1), *read(4, 2), rest()],
    ),
    "sends that overlap commit in the other order": (
        0,
        [*OVERLAPPING, returned(1), returned(2), *read(3, 2), *read(4, 1), rest()],
    ),
    "sends that wait at a rest, but overlap": (
        1,
        [*FULL, call(1, "send", "p", 1), call(2, "send", "p", 2), rest(), *read(3, 9), returned(2), rest()],
    ),
    "reads that overlap share in any order": (
        0,
        [*PAIR, *done(1, "send", "p", 1), *done(2, "send", "p", 2), call(3, "read", "s"), call(4, "read", "s")]
        + [returned(3, 2), returned(4, 1), rest()],
    ),
    "a read that ends since an overlapping one may be ahead": (
        0,
        [*PAIR, *done(1, "send", "p", 1), *done(2, "close", "s"), call(3, "read", "s"), call(4, "read", "s")]
        + [raised(3, CLOSED), returned(4, 1), rest()],
    ),
    "a close that takes effect late": (
        0,
        [*PAIR, call(3, "close", "s"), *done(1, "send", "p", 1), returned(3), *read(4, 1)],
    ),
    "a close that takes effect early": (
        0,
        [*PAIR, call(3, "close", "channel"), call(1, "send", "p", 1), raised(1, CLOSED), returned(3)],
    ),
    "a cancelled close has its effect": (
        0,
        [*PAIR, call(1, "close", "s"), settle(1), cancel(1), raised(1, CANCELLED)]
        + done(2, "observe", "channel", result="closed"),
    ),
    "a state of the past": (
        0,
        [*PAIR, call(1, "observe", "channel"), *done(2, "close", "channel"), returned(1, "open"), rest()],
    ),
    "a send whose loop has gone holds nobody up": (
        1,
        [
            *FULL,
            call(1, "send", "p", 1),
            settle(1),
            abandon(1),
            *read(2, 9),
            *done(3, "send", "p", 3),
            *read(4, 3),
            rest(),
        ],
    ),
    "a send that had committed when its loop went": (
        0,
        [*PAIR, call(1, "send", "p", 1), settle(1), *read(2, 1), abandon(1), rest()],
    ),
    "a send whose loop went commits": (
        1,
        [*FULL, call(1, "send", "p", 1), settle(1), abandon(1), *read(2, 9), *read(3, 1), rest()],
    ),
    "a message comes back when the loop of its read goes": (0, [*HANDED, rest(), *read(3, 2), *CLOSE, rest()]),
    "a message comes back after a newer one was read, and a read that overlaps gets it": (
        0,
        [*PAIR, call(1, "read", "s"), call(2, "read", "s"), settle(1), *done(3, "send", "p", 3)]
        + [*done(4, "send", "p", 4), *read(5, 4), abandon(1), returned(2, 3), rest()],
    ),
    "a message comes back after a newer one was read": (
        0,
        [*HANDED[:-1], *done(3, "send", "p", 3), *read(4, 3), abandon(1), rest(), *read(5, 2), rest()],
    ),
    "a message comes back to a read behind one that has got a newer message": (
        0,
        [*PAIR, *(event for n in (1, 2, 3) for event in [call(n, "read", "s"), settle(n)])]
        + [*done(4, "send", "p", 4), *done(5, "send", "p", 5), returned(2, 5), abandon(1), returned(3, 4), rest()],
    ),
    "two messages come back in the other order": (
        0,
        [*PAIR, call(1, "read", "s"), call(2, "read", "s"), *done(3, "send", "p", 3), *done(4, "send", "p", 4)]
        + [abandon(1), abandon(2), rest(), *read(5, 4), *read(6, 3), rest()],
    ),
    "a read that was asked to cancel, but returns, is overtaken": (
        0,
        [*PAIR, call(1, "read", "s"), settle(1), call(2, "read", "s"), settle(2), cancel(1)]
        + [*done(3, "send", "p", 3), *done(4, "send", "p", 4), returned(2, 3), returned(1, 4), rest()],
    ),
    "a message that comes back finds the buffer full": (
        1,
        [*HANDED, *done(3, "send", "p", 3), rest(), *read(4, 2), *read(5, 3), rest()],
    ),
    "a read whose loop goes while it waits": (
        0,
        [*PAIR, call(1, "read", "s"), settle(1), abandon(1), rest(), *done(2, "send", "p", 2), *read(3, 2), rest()],
    ),
    "a read that had ended when its loop went": (
        0,
        [*PAIR, call(1, "read", "s"), settle(1), *CLOSE, call(2, "read", "s"), raised(2, CLOSED), abandon(1), rest()],
    ),
}

FORBIDDEN = {
    "a settled send is overtaken": [
        *(*FULL, call(1, "send", "p", 1), settle(1), call(2, "send", "p", 2), *read(3, 9), returned(2)),
    ],
    "a send that a rest has passed is overtaken": [
        *(*FULL, call(1, "send", "p", 1), rest(), call(2, "send", "p", 2), *read(3, 9), returned(2)),
    ],
    "a send that has returned is overtaken": [*ROOMY, *done(1, "send", "p", 1), *done(2, "send", "p", 2), *read(3, 2)],
    "two subscribers read in two orders": [
        *(*ROOMY, *done(103, "subscribe", "t", 0), call(1, "send", "p", 1), call(2, "send", "p", 2)),
        *(returned(1), returned(2), *read(3, 1), *read(4, 2, "t")),
    ],
    "a close that suspends before its effect": [
        *(*PAIR, call(1, "close", "channel"), settle(1), *done(2, "observe", "channel", result="open")),
    ],
    "a state that goes back": [
        *(*PAIR, call(1, "close", "channel"), *done(2, "observe", "channel", result="closed")),
        *done(3, "observe", "channel", result="open"),
    ],
    "an observation that hangs": [*PAIR, call(1, "observe", "channel"), rest()],
    "a lost wake-up": [*PAIR, call(1, "read", "s"), settle(1), *done(2, "send", "p", 2), rest()],
    "a message is lost with the loop of its read": [*HANDED, rest(), *CLOSE, call(3, "read", "s"), raised(3, CLOSED)],
    "a message comes back too late": [*HANDED, rest(), *done(3, "send", "p", 3), *read(4, 3)],
    "a read waits while the message is with one whose loop has gone": [*HANDED, call(3, "read", "s"), rest()],
    "a read whose loop has gone takes a message": [
        *(*PAIR, call(1, "read", "s"), abandon(1), rest(), *done(2, "send", "p", 2), *CLOSE),
        *(call(3, "read", "s"), raised(3, CLOSED)),
    ],
}


@pytest.mark.parametrize("name", PERMITTED)
def test_what_real_threads_may_do_is_explained(name: str) -> None:
    """A history in which operations overlap is explained if any order that was possible explains it (CH-6.1)."""
    size, history = PERMITTED[name]
    assert first_refused(live, size, history) is None
    assert foresight.first_refused(size, history) is None


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_no_order_explains_is_refused(name: str) -> None:
    """A history is refused at its last event, by both searches, if no order explains it (CH-6.1, CH-6.3)."""
    size, history = 1, FORBIDDEN[name]
    assert first_refused(live, size, history) == len(history) - 1
    assert foresight.first_refused(size, history) == len(history) - 1


RECORDED_OF = ("strict", "without_CH_3_1", "without_CH_3_5", "without_CH_3_8", "without_CH_4_4", "without_CH_5_3")


@pytest.mark.parametrize("name", RECORDED_OF)
def test_with_every_call_settled_at_once_nothing_differs(name: str) -> None:
    """Recorded steps of sound and of wrong channels are judged as the strict machine judges them."""
    target = load(f"aioservicekit_conformance.modelled:{name}")
    refused = 0
    for size, script in SCRIPTS:
        case = replay(target, size, parse(script))
        history, origins = settled_at_once(case.history)
        for found in (first_refused(live, size, history), foresight.first_refused(size, history)):
            assert (None if found is None else origins[found]) == case.refused, script
        refused += case.refused is not None
    assert (refused == 0) == (name == "strict")


def settled_at_once(history: list[Event]) -> tuple[list[Event], list[int]]:
    """The history with each call settled, and of each event the index of the one from which it comes."""
    events, origins = [], []
    for index, event in enumerate(history):
        more = [event, settle(event.op)] if event.what == "call" else [event]
        events += more
        origins += [index] * len(more)
    return events, origins


@pytest.mark.parametrize("leave", [0.0, 0.3], ids=["loops stay", "loops go"])
@pytest.mark.parametrize("seed", range(4))
def test_both_searches_agree(seed: int, leave: float) -> None:
    """Random histories are admitted by both searches, or refused at the same event by both."""
    count: Counter[str] = Counter()
    for number in range(300):
        chance = Random(1000 * seed + number)
        size = chance.randrange(3)
        history = walk(chance, chance.randrange(8, 40), size, leave)
        for _ in range(chance.randrange(4)):
            history = changed(chance, history)
        try:
            plain = first_refused(live, size, history, most=100)
        except TooManyStates:
            count["given up"] += 1
            continue
        assert foresight.first_refused(size, history) == plain, (number, history)
        count["admitted" if plain is None else "refused"] += 1
    assert count["admitted"] > 60
    assert count["refused"] > 60
    assert count["given up"] < 100


@pytest.mark.parametrize("seed", range(4))
def test_the_fast_search_refuses_nothing_that_may_happen(seed: int) -> None:
    """It admits walks that are too much for the plain search: more messages at once, and more loops that go."""
    given_up = 0
    for number in range(40):
        chance = Random(1000 * seed + number)
        size, leave = chance.randrange(3), chance.choice((0.0, 0.2, 0.5, 0.8))
        history = walk(chance, chance.randrange(20, 60), size, leave, MESSAGES, under_way=6)
        try:
            assert foresight.admits(size, history, most=2_000), (number, history)
        except TooManyStates:
            given_up += 1
    assert given_up < 4


EIGHT = range(1, 9)
MANY = [*(call(n, "send", "p", n) for n in EIGHT), *(returned(n) for n in EIGHT), rest()]
MIXED = (5, 3, 8, 1, 2, 7, 4, 6)
READ_MIXED = [*(event for n in MIXED for event in read(10 + n, n)), rest()]
NOTHING_LEFT = [*CLOSE, call(60, "read", "s"), raised(60, CLOSED)]
SENDS_THAT_OVERLAP = {
    "they are read one after another": [*PAIR, *MANY, *READ_MIXED, *NOTHING_LEFT],
    "the loop of a read went before": [
        *(*PAIR, call(9, "read", "s"), rest(), abandon(9), rest(), *MANY, *READ_MIXED, *NOTHING_LEFT),
    ],
    "the loop of a read goes beside them": [
        *(*PAIR, call(9, "read", "s"), *MANY[:-1], abandon(9), rest(), *READ_MIXED, *NOTHING_LEFT),
    ],
    "reads wait for them in line": [
        *(*PAIR, *(event for n in MIXED for event in (call(10 + n, "read", "s"), settle(10 + n)))),
        *(*MANY[:-1], *(returned(10 + n, n) for n in EIGHT), rest()),
    ],
    "nobody reads them": [*PAIR, *MANY, *done(9, "send", "p", 9), rest()],
}


@pytest.mark.parametrize("name", SENDS_THAT_OVERLAP)
def test_foresight_keeps_states_few(name: str) -> None:
    """Eight sends that overlap, of all whose orders the plain search would keep track, cost the fast one a handful of states."""
    history = SENDS_THAT_OVERLAP[name]
    assert foresight.first_refused(0, history, most=300) is None
    with pytest.raises(TooManyStates):
        first_refused(live, 0, history, most=5_000)


LOST = range(10, 16)
LEFT_BEHIND = {
    "reads that may have taken a message and given it back, which lets others overtake": [
        *(*ROOMY, *(call(n, "read", "s") for n in LOST), call(1, "send", "p", 1), call(2, "send", "p", 2)),
        *(returned(1), returned(2), *(abandon(n) for n in LOST), rest(), *read(3, 2), *read(4, 1)),
        *NOTHING_LEFT,
    ],
    "reads that may have taken a message, which makes room for others": [
        *(*PAIR, *(call(n, "read", "s") for n in LOST), *(abandon(n) for n in LOST)),
        *(*(call(n, "send", "p", n) for n in (1, 2, 3)), returned(1), returned(3), rest()),
        *(*read(4, 3), *read(5, 1), returned(2), *read(6, 2), *NOTHING_LEFT),
    ],
    "sends that may have committed, but nobody has their messages": [
        *(*ROOMY, *(call(n, "send", "p", n) for n in EIGHT), *(abandon(n) for n in EIGHT), rest()),
        *(*done(9, "send", "p", 9), *read(10, 9), *NOTHING_LEFT),
    ],
    "joins that overlap": [
        *(event for kind in JOINS for n in range(3) for event in [call(ord(kind[0]) + n, kind, f"{kind}{n}")]),
        *(event for kind in JOINS for n in range(3) for event in [returned(ord(kind[0]) + n)]),
        *done(50, "observe", "channel", result="open"),
    ],
}


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_what_makes_no_difference_makes_no_states(name: str) -> None:
    """Operations left behind by loops that go, and joins in any order, cost the fast search few states, and the plain one many."""
    history = LEFT_BEHIND[name]
    assert foresight.first_refused(1, history, most=100) is None
    with pytest.raises(TooManyStates):
        first_refused(live, 1, history, most=200)


def test_a_history_is_refused_though_its_beginning_is_given_up() -> None:
    """What comes later helps to judge what comes first: without it, the search may give up finding the first refused event."""
    history = [*PAIR, *MANY, *(event for n in EIGHT for event in read(10 + n, n)), *read(20, 1), rest()]
    assert foresight.first_refused(0, history, most=80) == len(history) - 2


def test_too_many_states_are_given_up() -> None:
    """A history with more states than are worth keeping is neither explained nor refused."""
    with pytest.raises(TooManyStates):
        foresight.first_refused(0, [*PAIR, *MANY, *done(9, "send", "p", 9)], most=40)
