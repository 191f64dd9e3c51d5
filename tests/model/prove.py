"""`python tests/model/prove.py` proves the channel's invariant, for any number of endpoints, operations and messages.

It asks z3 of each action and each clause: can the clause fail after the action, if all clauses held before? The answer has to be
`unsat`: it can't. After any other answer, also if z3 gives up, it looks for a channel with few endpoints and operations in which
the clause fails. Such a channel need not be one that can come about.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple

import z3
from channel_formulas import ACTIONS, BIRTH, ENDPOINT, NUMBER, OPERATION, Action, Channel
from channel_invariant import GIVEN, INVARIANT, LASTING, PROMISES, Clause, Lasting
from channel_told import told
from channel_values import ranges, tabulated, unknown
from logic import AnyNumber, Few, Term, no

__all__ = ["STANDING", "Answer", "Question", "ask", "main", "questions", "table"]

STEPS = 1_000_000  # of z3, after which it gives up; no time, which would depend on the machine
FEW = Few({ENDPOINT: 2, OPERATION: 3, NUMBER: 4})
STANDING = Action("what follows", (), (), {}, lambda now: now)


class Question(NamedTuple):
    """Whether a clause holds after an action, if certain clauses held before."""

    before: tuple[Clause, ...]
    action: Action
    clause: Clause | Lasting


class Answer(NamedTuple):
    """What z3 found. If that is not "unsat", there may be a counterexample, in lines."""

    question: Question
    found: str
    counterexample: tuple[str, ...] = ()

    @property
    def is_proof(self) -> bool:
        return self.found == "unsat"


def questions(actions: Sequence[Action] = ACTIONS) -> Iterator[Question]:
    """The clauses hold at the beginning, each action keeps them, and the promises follow from them."""
    held = (*GIVEN, *INVARIANT)
    yield from (Question(GIVEN, BIRTH, clause) for clause in INVARIANT)
    yield from (Question(held, action, clause) for action in actions for clause in (*INVARIANT, *LASTING))
    yield from (Question(held, STANDING, promise) for promise in PROMISES)


@cache
def anything() -> tuple[AnyNumber, Channel]:
    universe = AnyNumber()
    return universe, unknown(universe)


@cache
def of_anything(clause: Clause) -> Term:
    return clause.of_all(anything()[1])


def ask(question: Question) -> Answer:
    before, action, clause = question
    universe, now = anything()
    thing, things = (
        [z3.FreshConst(universe.sorts[sort], sort.value) for sort in each.sorts] for each in (action, clause)
    )
    solver = z3.Solver()
    solver.set("rlimit", STEPS)
    solver.add(*map(of_anything, before), action.may(now, *thing))
    solver.add(no(clause.after(now, action.effect(now, *thing), *things)))
    found = str(solver.check())
    return Answer(question, found, () if found == "unsat" else tuple(counterexample(question)))


def counterexample(question: Question) -> Iterator[str]:
    """A channel with few things, what happens there, what changes, and of what the clause fails; nothing if none is found."""
    before, action, clause = question
    for thing in FEW.each(action.sorts):
        now = unknown(FEW)
        after = action.effect(now, *thing)
        solver = z3.Solver()
        solver.add(*ranges(now, FEW), *(each.of_all(now) for each in before), action.may(now, *thing))
        solver.add(no(FEW.every(clause.sorts, partial(clause.after, now, after))))
        if solver.check() == z3.sat:
            yield from shown(question, thing, tabulated(now, FEW, partial(value_in, solver.model())))
            return


def value_in(model: Term, term: Term) -> Term:
    value = model.eval(term, model_completion=True)
    return z3.is_true(value) if z3.is_bool(value) else value.as_long()


def shown(question: Question, thing: tuple[int, ...], now: Channel) -> Iterator[str]:
    before, action, clause = question
    assert action.may(now, *thing) is True
    assert all(each.of_all(now) is True for each in before)
    after = tabulated(action.effect(now, *thing), FEW)
    lines = told(now, FEW)
    yield from lines
    yield " ".join([action.name, *(f"{sort.value} {number}" for sort, number in zip(action.sorts, thing, strict=True))])
    yield from (f"  {line}" for line in told(after, FEW) if line not in lines)
    where = next(things for things in FEW.each(clause.sorts) if clause.after(now, after, *things) is False)
    yield " ".join(["fails:", clause.text, *(f"{s.value} {n}" for s, n in zip(clause.sorts, where, strict=True))])


def table(answers: Sequence[Answer]) -> Iterator[str]:
    """A line for each clause; in its columns the actions, by number."""
    found = {(answer.question.clause, answer.question.action.name): answer for answer in answers}
    actions = list(dict.fromkeys(action for _, action in found))
    clauses = list(dict.fromkeys(clause for clause, _ in found))
    width = max(len(clause.text) for clause in clauses)
    numbers = "".join(f"{number:>3}" for number in range(len(actions)))
    yield " " * width + numbers
    for clause in clauses:
        cells = (found.get((clause, action)) for action in actions)
        marks = ("" if cell is None else "+" if cell.is_proof else "!" for cell in cells)
        yield f"{clause.text:<{width}}" + "".join(f"{mark:>3}" for mark in marks)
    yield ""
    yield from (f"{number:>3} {action}" for number, action in enumerate(actions))


def main() -> int:
    """Ask all questions; return the exit status, 0 if every answer is a proof."""
    answers = list(map(ask, questions()))
    print(*table(answers), sep="\n")
    failed = [answer for answer in answers if not answer.is_proof]
    for answer in failed:
        print(f"\n{answer.question.action.name} / {answer.question.clause.text}: {answer.found}")
        print(*(f"    {line}" for line in answer.counterexample), sep="\n")
    print(f"\n{len(answers) - len(failed)} of {len(answers)} proved: + proved, ! not proved")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
