"""Judge histories: those that the rules permit are explained, and others are refused and blamed on the right rule."""

import pytest

from aioservicekit_model.channel import blame as blaming
from aioservicekit_model.channel import machine
from aioservicekit_model.channel.blame import blame, broken_obligations, exercised, explains, given_up
from aioservicekit_model.channel.checker import first_refused, states_along
from aioservicekit_model.channel.history import (
    CANCELLED,
    CLOSED,
    EXHAUSTED,
    Event,
    call,
    cancel,
    observe,
    raised,
    rest,
    returned,
)
from aioservicekit_model.channel.relaxed import OBLIGATIONS_OF_THE_MACHINE, RULES_OF_THE_MACHINE, relaxed, rule_of
from aioservicekit_model.rules import RULES


def joined(*names: str, size: int | None = None) -> list[Event]:
    """Endpoints join, one after the other, and return at once; their operations count from 101."""
    events = []
    for number, name in enumerate(names, 101):
        kind = "connect" if name.startswith("p") else "subscribe"
        events += [call(number, kind, name, None if kind == "connect" else size), returned(number)]
    return events


def done(number: int, kind: str, on: str, value: int | None = None, result: int | None = None) -> list[Event]:
    return [call(number, kind, on, value), returned(number, result)]


PAIR = joined("s1", "p1")
FULL = [*PAIR, *done(1, "send", "p1", 1), call(2, "send", "p1", 2), rest()]
READING = [*PAIR, call(1, "read", "s1"), rest()]

PERMITTED = {
    "a message from a publisher to a subscriber": (
        1,
        [*PAIR, *done(1, "send", "p1", 1), *done(2, "read", "s1", None, 1)],
    ),
    "a send that waits for room": (1, [*FULL, *done(3, "read", "s1", None, 1), returned(2), rest()]),
    "a cancelled send that has delivered nothing": (1, [*FULL, cancel(2), raised(2, CANCELLED), rest()]),
    "a send cancelled too late": (1, [*FULL, *done(3, "read", "s1", None, 1), cancel(2), returned(2), rest()]),
    "a cancelled send that is overtaken, and commits later": (
        1,
        [
            *FULL,
            cancel(2),
            *done(3, "read", "s1", None, 1),
            *done(4, "send", "p1", 4),
            *done(5, "read", "s1", None, 4),
            returned(2),
        ],
    ),
    "a cancelled read that is overtaken, and takes a message later": (
        0,
        [*READING, call(2, "read", "s1"), cancel(1), *done(3, "send", "p1", 3), returned(2, 3)]
        + [*done(4, "send", "p1", 4), returned(1, 4)],
    ),
    "a join that is cancelled": (0, [call(1, "subscribe", "s1"), cancel(1), raised(1, CANCELLED), rest()]),
    "a waiting read that ends with its subscriber": (0, [*READING, *done(2, "close", "s1"), raised(1, CLOSED), rest()]),
    "a waiting read that gets what was buffered before the close": (
        0,
        [*READING, *done(2, "send", "p1", 2), *done(3, "close", "s1"), returned(1, 2), rest()],
    ),
    "an iteration that ends": (0, [*PAIR, *done(1, "close", "channel"), call(2, "next", "s1"), raised(2, EXHAUSTED)]),
    "a close that is cancelled and has taken effect": (
        0,
        [*PAIR, call(1, "close", "channel"), cancel(1), raised(1, CANCELLED), observe("closed")],
    ),
    "a message to nobody": (0, [*joined("p1"), *done(1, "send", "p1", 1), *joined("s1"), observe("open"), rest()]),
}

FORBIDDEN = {
    "CH-1.1": (0, [observe("open")]),
    "CH-1.2": (0, [*PAIR, observe("initiation")]),
    "CH-1.3": (0, [*PAIR, *done(1, "close", "p1"), observe("open")]),
    "CH-1.4": (0, [*done(1, "close", "channel"), observe("initiation")]),
    "CH-1.5": (0, [*joined("p1"), *done(1, "close", "p1"), observe("closed")]),
    "CH-1.6": (0, [*PAIR, *done(1, "close", "channel"), call(3, "read", "s1"), rest(), *done(2, "send", "p1", 2)]),
    "CH-1.7": (0, [*PAIR, observe("open"), *done(1, "close", "p1"), observe("closed"), observe("initiation")]),
    "CH-2.1": (0, [*done(1, "close", "channel"), *done(2, "connect", "p1")]),
    "CH-2.2": (0, [*joined("s1", "p1", size=1), *done(1, "send", "p1", 1), *done(2, "send", "p1", 2), rest()]),
    "CH-2.4": (0, [*PAIR, *done(1, "send", "p1", 1), *done(2, "subscribe", "s2"), *done(3, "read", "s2", None, 1)]),
    "CH-2.5": (1, [*FULL, call(3, "subscribe", "s2"), rest()]),
    "CH-3.1": (
        1,
        [*PAIR, *done(9, "subscribe", "s2", 0), *done(1, "send", "p1", 1), call(2, "send", "p1", 2), rest()]
        + [*done(3, "read", "s2", None, 1), *done(4, "read", "s2", None, 2), rest()],
    ),
    "CH-3.2": (
        1,
        [*PAIR, *done(1, "send", "p1", 1), *done(2, "send", "p1", 2)]
        + [*done(3, "read", "s1", None, 1), *done(4, "read", "s1", None, 2)],
    ),
    "CH-3.3": (0, [*joined("p1"), call(1, "send", "p1", 1), rest()]),
    "CH-3.4": (1, [*FULL, *done(3, "read", "s1", None, 1), rest()]),
    "CH-3.5": (1, [*FULL, call(3, "send", "p1", 3), *done(4, "read", "s1", None, 1), returned(3), rest()]),
    "CH-3.6": (
        0,
        [*PAIR, *done(9, "subscribe", "s2"), *done(1, "send", "p1", 1), *done(2, "send", "p1", 2)]
        + [*done(3, "read", "s1", None, 1), *done(4, "read", "s2", None, 2), *done(5, "read", "s2", None, 1)],
    ),
    "CH-3.7": (1, [*FULL, *done(3, "close", "channel"), rest()]),
    "CH-3.8": (
        1,
        [*FULL, cancel(2), raised(2, CANCELLED), *done(3, "read", "s1", None, 1), *done(4, "read", "s1", None, 2)],
    ),
    "CH-4.1": (
        0,
        [*PAIR, *done(1, "send", "p1", 1), *done(2, "send", "p1", 2), *done(3, "read", "s1", None, 2)]
        + done(4, "read", "s1", None, 1),
    ),
    "CH-4.2": (
        0,
        [*PAIR, *done(1, "send", "p1", 1), *done(2, "close", "s1"), call(3, "read", "s1"), raised(3, CLOSED)],
    ),
    "CH-4.3": (0, [*READING, *done(2, "close", "s1"), rest()]),
    "CH-4.4": (0, [*READING, call(2, "read", "s1"), *done(3, "send", "p1", 3), returned(2, 3), rest()]),
    "CH-4.5": (
        0,
        [*READING, *done(2, "send", "p1", 2), cancel(1), raised(1, CANCELLED), call(3, "read", "s1"), rest()]
        + [*done(4, "send", "p1", 4), returned(3, 4), rest()],
    ),
    "CH-4.6": (0, [*READING, *done(2, "send", "p1", 2), rest()]),
    "CH-4.7": (0, [*PAIR, *done(1, "close", "channel"), call(2, "next", "s1"), raised(2, CLOSED)]),
    "CH-5.1": (0, [*PAIR, *done(1, "close", "channel"), call(2, "close", "channel"), raised(2, "RuntimeError")]),
    "CH-5.2": (
        1,
        [*joined("s1", "p1", "p2"), *done(1, "send", "p1", 1), call(2, "send", "p1", 2), rest()]
        + [*done(3, "close", "p2"), raised(2, CLOSED), rest(), *done(4, "send", "p1", 4)[:1], rest()],
    ),
    "CH-5.3": (
        1,
        [
            *joined("s1", "p1"),
            *done(9, "subscribe", "s2", 0),
            *done(1, "send", "p1", 1),
            call(2, "send", "p1", 2),
            rest(),
        ]
        + [*done(3, "close", "s1"), rest()],
    ),
}


def test_an_endpoint_that_joined_a_closed_channel_may_stay_open_for_ever() -> None:
    """A subscribe that finds its channel closed on its way, and joins, leaves a read that nothing ends (CH-2.1)."""
    late = [call(1, "subscribe", "s1"), *done(2, "close", "channel"), observe("closed"), returned(1), rest()]
    history = [*late, *done(3, "close", "channel"), call(4, "read", "s1"), rest()]
    assert {"CH-1.6", "CH-2.1"} <= blame(0, history)


def test_an_iteration_that_skips_messages_is_a_breach_of_its_rule() -> None:
    """A step of an iteration drops a message and waits for the next one, which makes room for sends (CH-4.7)."""
    sends = [call(2, "send", "p1", 2), call(3, "send", "p1", 3), rest()]
    history = [*PAIR, *done(1, "send", "p1", 1), *sends, call(4, "next", "s1"), returned(2), returned(3)]
    assert "CH-4.7" in blame(1, history)
    assert broken_obligations(1, history, "CH-4.7") == ("CH-4.7a",)


WAITING = [*joined("s1", "p1", "p2"), *done(1, "send", "p1", 1), call(2, "send", "p1", 2), rest()]
LATE = [*done(3, "close", "channel"), observe("closed"), returned(1), raised(2, CLOSED), observe("closed"), rest()]

# Each of these histories breaks several rules, or one of several, and nobody can tell which: none of them passes.
EXPLAINED_BY_SEVERAL = {
    "a channel is deserted, and begins anew": (
        {"CH-1.3", "CH-1.7"},
        [*PAIR, observe("open"), *done(1, "close", "p1"), observe("initiation"), rest()],
    ),
    "a channel is closed, and begins anew": (
        {"CH-1.4", "CH-1.7"},
        [*PAIR, observe("open"), *done(1, "close", "channel"), observe("initiation"), rest()],
    ),
    "a send reaches those who were there when it was called": (
        {"CH-2.4"},
        [*joined("s1", "p1"), *done(1, "send", "p1", 1), call(2, "send", "p1", 2), rest(), *joined("s2")]
        + [call(3, "read", "s2"), *done(4, "close", "s1"), returned(2), rest()]
        + [*done(5, "read", "s1", None, 1), *done(6, "read", "s1", None, 2), rest()],
    ),
    "a close closes the endpoints, and leaves the channel": (
        {"CH-1.4"},
        [
            *joined("s1"),
            *done(1, "close", "channel"),
            observe("initiation"),
            call(2, "read", "s1"),
            raised(2, CLOSED),
            rest(),
        ]
        + [*joined("p1"), rest()],
    ),
    "a close that never ends has no effect": (
        {"CH-1.4", "CH-5.1"},
        [call(1, "close", "channel"), observe("initiation"), rest()],
    ),
    "a deserted channel closes later than its endpoint": (
        {"CH-1.3", "CH-5.1"},
        [*PAIR, observe("open"), *done(1, "close", "p1"), observe("open"), observe("closed"), rest()],
    ),
    "endpoints close later than their channel": (
        {"CH-1.6", "CH-5.1"},
        [*PAIR, *done(1, "close", "channel"), observe("closed"), *done(2, "send", "p1", 2), observe("closed")]
        + [rest(), call(3, "send", "p1", 3), raised(3, CLOSED), rest()],
    ),
    "a close that is cancelled leaves an endpoint open": (
        {"CH-1.6", "CH-5.1"},
        [*PAIR, call(1, "close", "channel"), observe("closed"), cancel(1), raised(1, CANCELLED), rest()]
        + [call(2, "read", "s1"), rest()],
    ),
    "a close returns before it takes effect": (
        {"CH-5.1"},
        [*PAIR, observe("open"), *done(1, "close", "channel"), observe("open"), observe("closed"), rest()],
    ),
    "one of two subscribers gets the message later": (
        {"CH-3.1", "CH-4.2"},
        [*joined("s1", "s2", "p1"), call(1, "send", "p1", 1), call(2, "read", "s2"), *LATE]
        + [*done(4, "read", "s1", None, 1), *done(5, "read", "s2", None, 1), rest()],
    ),
    "a send raises another error as its publisher closes": (
        {"CH-3.7", "CH-5.2"},
        [*WAITING, *done(3, "close", "p1"), raised(2, "RuntimeError"), rest()],
    ),
    "a send is cancelled by the closing of its publisher": (
        {"CH-3.7", "CH-3.8", "CH-5.2"},
        [*WAITING, *done(3, "close", "p1"), raised(2, CANCELLED), rest()],
    ),
    "a read raises another error as its subscriber closes": (
        {"CH-4.1", "CH-4.2", "CH-4.3"},
        [*READING, *done(2, "close", "s1"), raised(1, "RuntimeError"), rest()],
    ),
    "a read is cancelled by the closing of its subscriber": (
        {"CH-4.2", "CH-4.3", "CH-4.5"},
        [*READING, *done(2, "close", "s1"), raised(1, CANCELLED), rest()],
    ),
    "a publisher that is closed goes on": (
        {"CH-3.7", "CH-5.1"},
        [*joined("p1"), *done(1, "close", "p1"), *done(2, "send", "p1", 2), rest()],
    ),
    "a send for which there is room raises another error": (
        {"CH-3.4"},
        [*PAIR, call(1, "send", "p1", 1), raised(1, "KeyError"), rest()],
    ),
    "a read for which there is a message raises another error": (
        {"CH-4.1", "CH-4.6"},
        [*PAIR, *done(1, "send", "p1", 1), call(2, "read", "s1"), raised(2, "KeyError"), rest()],
    ),
    "a send for which there is no room raises another error": (
        {"CH-3.2"},
        [*WAITING, raised(2, "QueueFull"), rest()],
    ),
    "a cancelled send raises another error": (
        {"CH-3.2", "CH-3.8"},
        [*WAITING, cancel(2), raised(2, "RuntimeError"), rest()],
    ),
    "a cancelled read raises another error": (
        {"CH-4.1", "CH-4.5"},
        [*READING, cancel(1), raised(1, "RuntimeError"), rest()],
    ),
    "a send to nobody raises another error": (
        {"CH-3.3"},
        [*joined("p1"), call(1, "send", "p1", 1), raised(1, "KeyError"), rest()],
    ),
}


@pytest.mark.parametrize("what", EXPLAINED_BY_SEVERAL)
def test_each_rule_that_may_be_broken_explains_it(what: str) -> None:
    """The blamed rule masks others, which explain the whole history as well."""
    rules, history = EXPLAINED_BY_SEVERAL[what]
    assert first_refused(machine, 1, history) is not None
    assert {rule for rule in rules if explains(1, history, rule, for_certain=True)} == rules


def test_a_message_that_comes_late_needs_room_too() -> None:
    """Two messages in a buffer of size 1 are no matter of when they came (CH-3.2, and not CH-3.1)."""
    sends = [event for number in (1, 2) for event in (*done(number, "send", "p1", number), observe("open"))]
    history = [*PAIR, *sends, rest(), *done(3, "read", "s1", None, 1), *done(4, "read", "s1", None, 2), rest()]
    assert explains(1, history, "CH-3.2")
    assert not explains(1, history, "CH-3.1")


GIVEN_UP = [*READING, call(2, "read", "s1"), rest(), cancel(1), raised(1, CANCELLED), rest()]
BEHIND_ONE_THAT_GAVE_UP = {
    "it loses a message": [*done(3, "send", "p1", 3), rest(), *done(4, "send", "p1", 4), returned(2, 4), rest()],
    "it waits beside messages": [*done(3, "send", "p1", 3), rest(), call(4, "send", "p1", 4), rest()],
    "it waits on what is closed": [*done(3, "send", "p1", 3), *done(4, "close", "s1"), call(5, "read", "s1"), rest()],
}


@pytest.mark.parametrize("what", BEHIND_ONE_THAT_GAVE_UP)
def test_a_cancelled_read_that_stays_in_line_is_a_breach_of_its_rule(what: str) -> None:
    """A read that has given up takes a message, or holds up those behind it for ever (CH-4.5)."""
    history = [*GIVEN_UP, *BEHIND_ONE_THAT_GAVE_UP[what]]
    assert first_refused(machine, 1, history) is not None
    assert explains(1, history, "CH-4.5", for_certain=True)


JOINED_ALL_THE_SAME = {
    "it joined, and was cancelled": [observe("open"), cancel(1), raised(1, CANCELLED)],
    "it was cancelled, and joined": [cancel(1), raised(1, CANCELLED), observe("open")],
}


@pytest.mark.parametrize("order", JOINED_ALL_THE_SAME)
def test_a_join_that_raises_and_stays_is_a_breach_of_its_rule(order: str) -> None:
    """A subscriber that opens the channel, and whose join raises, has joined anyway (CH-2.6)."""
    history = [*joined("p1"), call(1, "subscribe", "s1"), *JOINED_ALL_THE_SAME[order]]
    assert first_refused(machine, 0, history) is not None
    assert "CH-2.6" in blame(0, history)


def test_a_search_that_takes_too_many_states_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a search was given up, nobody knows what the relaxed model explains, so its rule is among the candidates."""
    size, history = FORBIDDEN["CH-3.1"]
    monkeypatch.setattr(blaming, "MOST_STATES", 0)
    assert explains(size, history, "CH-3.1")
    assert not explains(size, history, "CH-3.1", for_certain=True)
    assert given_up(size, history, "CH-3.1")
    monkeypatch.undo()
    assert "CH-3.1" in blame(size, history)
    assert not given_up(size, history, "CH-3.1")


@pytest.mark.parametrize("what", PERMITTED)
def test_what_the_rules_permit_is_explained(what: str) -> None:
    """The strict model has a state for the whole history, and so has every relaxed one."""
    size, history = PERMITTED[what]
    assert first_refused(machine, size, history) is None
    assert all(explains(size, history, rule) for rule in FORBIDDEN)


def test_each_rule_of_the_machine_has_a_history_that_breaks_it() -> None:
    """`FORBIDDEN` has a history for each rule but CH-2.6, which has its own test."""
    assert FORBIDDEN.keys() == RULES_OF_THE_MACHINE - {"CH-2.6"}


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_what_a_rule_forbids_is_refused_and_explained_without_it(rule: str) -> None:
    """The strict model refuses the history; relaxing the rule that it breaks admits it."""
    size, history = FORBIDDEN[rule]
    refused = first_refused(machine, size, history)
    assert refused is not None
    assert explains(size, history, rule)
    assert rule in blame(size, history)


def test_with_nothing_relaxed_the_machine_is_the_strict_one() -> None:
    """With nothing relaxed, the table has the strict actions and guards, and no mistakes; the strict machine names none."""
    nothing = relaxed()
    assert nothing.actions == machine.ACTIONS
    assert (nothing.mistakes, nothing.endings, nothing.neglects) == ((), (), ())
    for size, history in PERMITTED.values():
        strict, overlaid = states_along(machine, size, history), states_along(nothing, size, history)
        assert [{now.state for now in states} for states in overlaid] == [set(states) for states in strict]


@pytest.mark.parametrize("rule", sorted(RULES_OF_THE_MACHINE - {"CH-1.1", "CH-1.7"}))
def test_relaxing_a_rule_takes_guards_away_or_lets_mistakes_in(rule: str) -> None:
    """Each rule that concerns operations has a place in one of the tables, where a search for its id finds it."""
    without = relaxed(rule)
    assert without.actions != machine.ACTIONS or without.mistakes or without.endings or without.neglects


def test_the_machine_names_obligations_that_the_specification_has() -> None:
    """Guards, mistakes and obligations carry a letter if their rule has several, unless they break all of them."""
    as_a_whole = {"CH-2.4", "CH-5.3"}
    for each in OBLIGATIONS_OF_THE_MACHINE - as_a_whole:
        letters = RULES[rule_of(each)].obligations
        assert each[-1] in letters if letters else each == rule_of(each), each


OBLIGATIONS_BROKEN = {
    "CH-3.8a": FORBIDDEN["CH-3.8"],
    "CH-3.8b": (1, [*FULL, cancel(2), rest()]),
    "CH-3.8c": (
        1,
        [*FULL, call(3, "send", "p1", 3), cancel(2), raised(2, CANCELLED), *done(4, "read", "s1", None, 1), rest()],
    ),
    "CH-4.5a": FORBIDDEN["CH-4.5"],
    "CH-4.5c": (0, [*READING, cancel(1), rest()]),
    "CH-5.3b": FORBIDDEN["CH-5.3"],
}


@pytest.mark.parametrize("obligation", OBLIGATIONS_BROKEN)
def test_a_failure_names_the_obligation_that_was_broken(obligation: str) -> None:
    """Each obligation of a rule can be relaxed by itself."""
    size, history = OBLIGATIONS_BROKEN[obligation]
    assert obligation in broken_obligations(size, history, rule_of(obligation))


def test_a_search_may_be_bounded() -> None:
    """Fifteen sends that may each have failed as the channel closes are more states than are kept: the sets end before."""
    sends = [call(number, "send", "p1", number) for number in range(1, 16)]
    history = [*joined("p1", "s1", size=1), *sends, call(16, "close", "channel"), returned(16)]
    assert len(states_along(machine, 0, history, 500)) == len(history) - 1
    assert all(len(states) <= 500 for states in states_along(machine, 0, history, 500))


def test_a_send_that_stalls_after_another_has_failed_is_a_breach_of_going_on() -> None:
    """Closing the publisher of the send that was to go on first does not let the next one stall (CH-3.4, and not CH-5.2)."""
    history = [*joined("s1", "p1", "p2"), *done(1, "send", "p1", 1), call(2, "send", "p1", 2), call(3, "send", "p2", 3)]
    history += [rest(), *done(4, "read", "s1", None, 1), *done(5, "close", "p1"), raised(2, CLOSED), rest()]
    assert "CH-3.4" in blame(1, history)
    assert "CH-5.2" not in blame(1, history)


def test_nothing_is_to_blame_for_what_is_permitted() -> None:
    """An explained history has no candidates."""
    size, history = PERMITTED["a send that waits for room"]
    assert blame(size, history) == frozenset()


def test_the_rules_exercised_are_those_that_could_be_broken() -> None:
    """With a full subscriber and a waiting send, back-pressure is exercised; before anybody sends, it is not."""
    size, history = PERMITTED["a send that waits for room"]
    states = states_along(machine, size, history)
    found = [exercised(before, event) for before, event in zip(states, history, strict=False)]
    assert "CH-3.2" not in found[0]
    assert "CH-3.2" in frozenset().union(*found)
