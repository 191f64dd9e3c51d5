"""Values for the fields of a channel: unknowns, about which z3 reasons, or tables of a few things."""

from collections.abc import Callable

import z3
from channel_formulas import FIELDS, Channel
from logic import AnyNumber, Few, Function, Sort, Term

__all__ = ["ranges", "tabulated", "unknown"]


def unknown(universe: AnyNumber | Few) -> Channel:
    """A channel of which nothing is known."""
    sorts = (
        universe.sorts
        if isinstance(universe, AnyNumber)
        else {sort: z3.BoolSort() if sort is Sort.TRUTH else z3.IntSort() for sort in Sort}
    )
    fields = {
        name: z3.Function(name, *(sorts[sort] for sort in of), sorts[value]) if of else z3.Const(name, sorts[value])
        for name, (of, value) in FIELDS.items()
    }
    return Channel(universe, **fields)


def tabulated(now: Channel, few: Few, value: Callable[[Term], Term] = lambda term: term) -> Channel:
    """The same channel, its functions as tables, where `value` is taken of each entry. Beyond the tables everything is 0."""

    def table(name: str, of: tuple[Sort, ...]) -> Function:
        entries = {things: value(getattr(now, name)(*things)) for things in few.each(of)}
        return lambda *things: entries.get(things, 0)

    fields = {name: table(name, of) if of else value(getattr(now, name)) for name, (of, _) in FIELDS.items()}
    return Channel(few, **fields)


def ranges(now: Channel, few: Few) -> list[Term]:
    """Each entry of an unknown channel is one of the few things."""
    entries = [
        (getattr(now, name)(*things) if of else getattr(now, name), few.how_many[value])
        for name, (of, value) in FIELDS.items()
        if value is not Sort.TRUTH
        for things in few.each(of)
    ]
    return [z3.And(entry >= 0, entry < how_many) for entry, how_many in entries]
