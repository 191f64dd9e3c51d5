"""The channel's invariant is proved for any number of things, faults are found, and it is the same channel that is explored."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from channel_formulas import (
    ABSENT,
    ACTIONS,
    CALL,
    CLOSE,
    CLOSED_PHASE,
    CLOSING,
    COMMIT,
    FAILS,
    GIVES_UP,
    INITIATION,
    JOINING,
    OPEN,
    RUN_OUT,
    TAKE,
    WITHDRAW,
    Action,
    Channel,
    Effect,
    at,
    close_channel,
    commit,
    fail,
    gone,
    is_full,
    join,
    take,
    with_outcome,
)
from channel_invariant import GIVEN, INVARIANT, LASTING, PROMISES, Clause, Lasting
from closed_world import Bounds, differences, in_python, read_bounds
from formulas_graph import LABELS, in_formulas
from logic import Function, Term, both, choose, no
from prove import STANDING, Question, ask, main

HELD = (*GIVEN, *INVARIANT)


def test_every_question_is_proved(capsys: pytest.CaptureFixture[str]) -> None:
    """Each action keeps each clause, the promises follow, a table says so, and the exit status is 0."""
    assert main() == 0
    told = capsys.readouterr().out
    actions, clauses = len(ACTIONS), len(INVARIANT)
    asked = clauses + actions * (clauses + len(LASTING)) + len(PROMISES)
    assert told.endswith(f"\n{asked} of {asked} proved: + proved, ! not proved\n")
    assert told.count("  +") == asked
    assert "  !" not in told


@pytest.mark.exhaustive
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.text)
def test_no_promise_goes_without_saying(promise: Clause) -> None:
    """Of a channel of which the clauses need not hold, no promise is proved."""
    assert not ask(Question(GIVEN, STANDING, promise)).is_proof


# ------------------------------------------------------------------------------------------------------------------ faults


class Fault(NamedTuple):
    """What is wrong with an action, and a clause that it no longer keeps."""

    name: str
    action: Action
    clause: str

    def __str__(self) -> str:
        return f"{self.action.name}, {self.name}"


def clause_named(start: str) -> Clause | Lasting:
    (clause,) = (each for each in (*INVARIANT, *LASTING) if each.text.startswith(start))
    return clause


def without(action: Action, guard: str) -> Action:
    return action._replace(guards={name: each for name, each in action.guards.items() if name != guard})


GUARDS = {
    ("call", "uncalled"): "sends in order",
    ("call", "its endpoint is in hand"): "calls",
    ("ask to cancel", "under way"): "stages",
    ("return or raise", "settled"): "stages",
    ("join", "waits"): "what is received stays",
    ("join", "CH-2.1"): "closed with all",
    ("refuse", "waits"): "joins",
    ("refuse", "CH-2.1"): "errors",
    ("give up the join", "asked"): "exact cancellation",
    ("give up the join", "CH-2.6"): "joins",
    ("commit", "waits"): "the log",
    ("commit", "CH-3.7a"): "sends while connected",
    ("commit", "CH-3.5"): "sends in order",
    ("commit", "CH-3.2"): "bounded",
    ("fail", "waits"): "what succeeded stays so",
    ("fail", "CH-3.7a"): "errors",
    ("give up the send", "asked"): "exact cancellation",
    ("give up the send", "CH-3.8a"): "the log",
    ("take", "waits"): "stages",
    ("take", "CH-4.1b"): "bounded",
    ("take", "CH-4.4b"): "reads in order",
    ("run out", "waits"): "what succeeded stays so",
    ("run out", "CH-4.1b"): "errors",
    ("give up the read", "asked"): "exact cancellation",
    ("give up the read", "CH-4.5a"): "none dropped",
}
# No clause needs these two. The first is of users: nobody closes what nobody has. The second counts, which the prover can't.
COMPARED_ONLY = {("close an endpoint", "in hand"), ("run out", "CH-4.2b")}
ALL_GUARDS = [(action, guard) for action in ACTIONS for guard in action.guards]


def commit_to(now: Channel, op: Term, receives: Function) -> Channel:
    """A commit that some receive, and others do not."""
    after = commit(now, op)
    return after._replace(
        received=lambda e, i: choose(both(receives(e), i == now.arrived(e)), op, now.received(e, i)),
        arrived=lambda e: now.arrived(e) + choose(receives(e), 1, 0),
    )


def commit_in_front(now: Channel, op: Term) -> Channel:
    """The newest message comes first."""
    return commit(now, op)._replace(
        received=lambda e, i: choose(
            i == now.taken(e), op, choose(i > now.taken(e), now.received(e, i - 1), now.received(e, i))
        )
    )


def wrong_effects() -> Iterator[Fault]:
    def fault(name: str, action: Action, effect: Effect, clause: str) -> Fault:
        return Fault(name, action._replace(effect=effect), clause)

    yield fault("uncounted", CALL, lambda now, op: CALL.effect(now, op)._replace(calls=now.calls), "calls")
    yield fault("not opening", JOINING, lambda now, op: join(now, op)._replace(phase=now.phase), "open while complete")
    yield fault(
        "with what was sent before",
        JOINING,
        lambda now, op: join(now, op)._replace(arrived=at(now.arrived, now.on(op), now.commits)),
        "nothing lost",
    )
    yield fault(
        "to those that have room",
        without(COMMIT, "CH-3.2"),
        lambda now, op: commit_to(
            now,
            op,
            lambda e: both(no(now.is_publisher(e)), now.is_connected(e), no(is_full(now, e))),
        ),
        "nothing lost",
    )
    yield fault(
        "to those that have closed",
        COMMIT,
        lambda now, op: commit_to(now, op, lambda e: both(no(now.is_publisher(e)), now.connection(e) != ABSENT)),
        "nothing lost",
    )
    yield fault("in front of the buffer", COMMIT, commit_in_front, "one order")
    yield fault("more than once", COMMIT, lambda now, op: commit(commit(now, op), op), "the log")
    yield fault(
        "forgotten", COMMIT, lambda now, op: with_outcome(now, op, commit(now, op).outcome(op)), "commits (CH-3.1b"
    )
    yield fault("having delivered", WITHDRAW, lambda now, op: with_outcome(commit(now, op), op, GIVES_UP), "the log")
    yield fault(
        "the newest",
        TAKE,
        lambda now, op: take(now, op)._replace(
            message=at(now.message, op, now.received(now.on(op), now.arrived(now.on(op)) - 1))
        ),
        "reads (",
    )
    yield fault("without removing it", TAKE, lambda now, op: take(now, op)._replace(taken=now.taken), "reads (")
    yield fault(
        "and drop the next",
        TAKE,
        lambda now, op: take(now, op)._replace(taken=at(now.taken, now.on(op), now.taken(now.on(op)) + 2)),
        "none dropped",
    )
    yield fault(
        "and drop a message",
        RUN_OUT,
        lambda now, op: fail(now, op)._replace(taken=at(now.taken, now.on(op), now.taken(now.on(op)) + 1)),
        "none dropped",
    )
    yield fault(
        "and its messages",
        CLOSE,
        lambda now, e: CLOSE.effect(now, e)._replace(taken=at(now.taken, e, now.arrived(e))),
        "none dropped",
    )
    yield fault("alone", CLOSE, lambda now, e: gone(now, lambda each: each == e), "open while complete")
    yield fault(
        "and fail everybody's sends",
        CLOSE,
        lambda now, e: CLOSE.effect(now, e)._replace(outcome=lambda op: choose(now.waits(op), FAILS, now.outcome(op))),
        "errors",
    )
    yield fault("without its endpoints", CLOSING, lambda now: now._replace(phase=CLOSED_PHASE), "closed with all")
    yield fault(
        "and open it again",
        CLOSING,
        lambda now: close_channel(now)._replace(phase=choose(now.phase == CLOSED_PHASE, INITIATION, CLOSED_PHASE)),
        "states only move forward",
    )
    yield fault(
        "and leave it open", CLOSING, lambda now: close_channel(now)._replace(phase=OPEN), "open while complete"
    )


FAULTS = [
    *(Fault(f"without {guard}", without(action, guard), GUARDS[action.name, guard])
      for action, guard in ALL_GUARDS if (action.name, guard) in GUARDS),
    *wrong_effects(),
]  # fmt: skip


@pytest.mark.exhaustive
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_breaks_a_clause(fault: Fault) -> None:
    """With a guard less, or another effect, an action does not keep some clause, and a channel with few things shows it."""
    answer = ask(Question(HELD, fault.action, clause_named(fault.clause)))
    assert not answer.is_proof
    before, happens, after, where = [
        [line for line in answer.counterexample if re.match(pattern, line)]
        for pattern in (
            r"the channel|(endpoint|operation) \d:",
            rf"{fault.action.name}( (endpoint|operation) \d)?$",
            "  (the channel|endpoint|operation) ",
            rf"fails: {re.escape(fault.clause)}",
        )
    ]
    assert [len(before), len(happens), len(where)] == [6, 1, 1]
    assert after


def test_every_guard_and_every_rule_has_its_fault() -> None:
    """Each guard has been taken away, and each clause that stands for a rule has been broken."""
    assert {(action.name, guard) for action, guard in ALL_GUARDS} == GUARDS.keys() | COMPARED_ONLY
    broken = {clause_named(fault.clause).text for fault in FAULTS}
    assert {clause.text for clause in INVARIANT if "CH-" in clause.text} <= broken


def test_what_is_not_proved_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The action and the clause head a channel in which the clause fails; the exit status is 1."""
    weak = without(COMMIT, "CH-3.2")
    monkeypatch.setattr("prove.questions", lambda: iter([Question(HELD, weak, clause_named("bounded"))]))
    assert main() == 1
    told = capsys.readouterr().out
    assert "\ncommit / bounded (CH-3.2): sat\n    the channel is " in told
    assert "\n    fails: bounded (CH-3.2) endpoint " in told
    assert told.endswith("\n0 of 1 proved: + proved, ! not proved\n")


def test_a_prover_that_gives_up_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few steps are no proof, and no counterexample either."""
    monkeypatch.setattr("prove.STEPS", 1)
    answer = ask(Question(HELD, COMMIT, clause_named("one order")))
    assert (answer.is_proof, answer.found, answer.counterexample) == (False, "unknown", ())


# ------------------------------------------------------------------------------------------------------- the same channel

SMALL = Bounds(["p1"], {"s1": 1}, sends=1, reads=1, cancellations=1)
LARGER = {
    "a line of sends": Bounds(["p1"], {"s1": 1}, sends=2, reads=1, cancellations=0),
    "a line of reads": Bounds(["p1"], {"s1": 1}, sends=1, reads=2, cancellations=1),
    "two publishers": Bounds(["p1", "p2"], {"s1": 1}, sends=1, reads=1, cancellations=0),
    "two subscribers": Bounds(["p1"], {"s1": 1, "s2": 0}, sends=1, reads=1, cancellations=0),
    "a-line, as in TLA+": read_bounds("a-line"),
}


@pytest.mark.parametrize(
    "bounds",
    [
        SMALL,
        *(pytest.param(bounds, marks=pytest.mark.exhaustive, id=name) for name, bounds in LARGER.items()),
    ],
)
def test_the_formulas_are_the_machine(bounds: Bounds) -> None:
    """The formulas have the same states as the machine, and the same labelled steps, and in each state all clauses hold."""
    formulas, channels = in_formulas(bounds)
    python = in_python(bounds)
    assert not differences(python, formulas, "the formulas")[:3]
    assert formulas == python
    assert len(channels) == len(python.states)
    for channel in channels:
        assert all(clause.of_all(channel) for clause in HELD)


@pytest.mark.parametrize(("action", "guard"), sorted(COMPARED_ONLY))
def test_what_no_clause_needs_is_compared(action: str, guard: str) -> None:
    """Without such a guard, the formulas have a step of that action that the machine has not."""
    weaker = tuple(without(each, guard) if each.name == action else each for each in ACTIONS)
    formulas, _ = in_formulas(SMALL, weaker)
    found = differences(in_python(SMALL), formulas, "the formulas")
    assert found[0].startswith(f"the formulas alone has {LABELS[action]} of ")
