"""Formulas that Python decides at once where their parts are Python's values, and that z3 gets where they are z3's terms.

So one text can be proved of any number of things, and carried out on a few.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from itertools import product
from typing import Any, NamedTuple, Protocol

import z3

__all__ = ["AnyNumber", "Few", "Function", "Sort", "Term", "Universe", "both", "choose", "either", "implies", "no"]

Term = Any  # a value of Python, or a term of z3
Function = Callable[..., Term]


class Sort(Enum):
    ENDPOINT = "endpoint"
    OPERATION = "operation"
    NUMBER = "number"  # from 0; also a place in a sequence, and one of a few names
    TRUTH = "truth"


def both(*parts: Term) -> Term:
    """All of the parts hold."""
    unsettled = [part for part in parts if part is not True]
    if any(part is False for part in unsettled):
        return False
    return z3.And(*unsettled) if unsettled else True


def either(*parts: Term) -> Term:
    """At least one of the parts holds."""
    return no(both(*map(no, parts)))


def no(part: Term) -> Term:
    return not part if isinstance(part, bool) else z3.Not(part)


def implies(condition: Term, consequence: Term) -> Term:
    return either(no(condition), consequence)


def choose(condition: Term, yes: Term, otherwise: Term) -> Term:
    if isinstance(condition, bool):
        return yes if condition else otherwise
    return z3.If(condition, yes, otherwise)


class Universe(Protocol):
    """What there is."""

    def every(self, sorts: tuple[Sort, ...], holds: Function) -> Term:
        """It holds of all things of these sorts."""

    def at_least(self, number: Term, sort: Sort, holds: Function) -> Term:
        """It holds of so many things of a sort, or more."""


class AnyNumber:
    """Any number of endpoints and operations, and all numbers."""

    def __init__(self) -> None:
        self.sorts = {
            Sort.ENDPOINT: z3.DeclareSort("endpoint"),
            Sort.OPERATION: z3.DeclareSort("operation"),
            Sort.NUMBER: z3.IntSort(),
            Sort.TRUTH: z3.BoolSort(),
        }

    def every(self, sorts: tuple[Sort, ...], holds: Function) -> Term:
        things = [z3.FreshConst(self.sorts[sort], sort.value) for sort in sorts]
        return z3.ForAll(things, holds(*things)) if things else holds()

    def at_least(self, number: Term, sort: Sort, holds: Function) -> Term:
        """True or false, as it may be: counting is beyond the prover, so what it proves holds either way."""
        return z3.FreshBool("enough")


class Few(NamedTuple):
    """So many things of each sort, numbered from 0."""

    how_many: Mapping[Sort, int]

    def each(self, sorts: tuple[Sort, ...]) -> list[tuple[int, ...]]:
        return list(product(*(range(self.how_many[sort]) for sort in sorts)))

    def every(self, sorts: tuple[Sort, ...], holds: Function) -> Term:
        return both(*(holds(*things) for things in self.each(sorts)))

    def at_least(self, number: Term, sort: Sort, holds: Function) -> Term:
        return sum(choose(holds(thing), 1, 0) for thing in range(self.how_many[sort])) >= number
