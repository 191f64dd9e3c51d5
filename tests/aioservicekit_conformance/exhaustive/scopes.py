"""The scopes within which everything is tried, and how a report puts them.

Some defects show only when things come together: two sends wait and a publisher closes, or a subscriber joins when two sends have
been woken. One scope with room for all of this would have far too many states. So there are many small scopes, each with room for
something else. Quick ones come first, because most defects need little.
"""

from typing import NamedTuple

from aioservicekit_model.channel.world import Bounds

from ..report.wording import many

__all__ = ["SCOPES", "Scope", "text"]


class Scope(NamedTuple):
    """What is tried.

    Attributes:
        bounds: how much the users do.
        calls: so many calls at most, apart from the joins of those who are there from the beginning; None is any number.
        late: so many of the subscribers, the last ones, are not there from the beginning, though all other endpoints are.
        counted: whether the machine's edges are counted. It has too many where it may put off both joins and closings of several
            endpoints.
    """

    bounds: Bounds
    calls: int | None = None
    late: int = 0
    counted: bool = False


SCOPES = (
    # One subscriber after the other: sizes, joining, and reading with `async for`.
    Scope(Bounds(sizes=(0, None), default_size=1, messages=2, joined=True, closings=False), counted=True),
    Scope(Bounds(sizes=(None,), default_size=1, iterating=True), counted=True),
    Scope(Bounds(sizes=(None,), default_size=1, cancellations=1, joined=True, iterating=True), counted=True),
    Scope(Bounds(cancellations=1), counted=True),
    Scope(Bounds(sizes=(2,), messages=2, joined=True)),
    # Lines: several sends and reads wait, are woken together, and are cancelled.
    Scope(Bounds(messages=4, waiting=2, joined=True, closings=False), counted=True),
    Scope(Bounds(sizes=(2,), messages=4, waiting=2, joined=True, closings=False), counted=True),
    Scope(Bounds(publishers=2, messages=2, joined=True, closings=False), counted=True),
    Scope(Bounds(messages=2, waiting=2, cancellations=2, joined=True, closings=False), counted=True),
    Scope(Bounds(messages=3, waiting=2, cancellations=1, joined=True, closings=False), counted=True),
    Scope(Bounds(messages=4, waiting=3, cancellations=1, joined=True, closings=False), calls=6),
    # Several subscribers, of which one or another is full.
    Scope(Bounds(sizes=(1, 0), messages=3, joined=True, closings=False)),
    Scope(Bounds(sizes=(1, 1, 1), messages=2, joined=True, closings=False), calls=4),
    Scope(Bounds(sizes=(1, 2), messages=3, joined=True, closings=False), counted=True),
    # Joins while others wait.
    Scope(Bounds(publishers=2, messages=2, closings=False), calls=5),
    Scope(Bounds(sizes=(1, 0), messages=2, closings=False)),
    Scope(Bounds(sizes=(2, 1), messages=4, waiting=2, joined=True, closings=False), calls=8, late=1),
    Scope(Bounds(sizes=(1, 0), messages=3, waiting=2, joined=True, closings=False), calls=9, late=1),
    # One side comes, leaves, and comes again.
    Scope(Bounds(publishers=2), calls=6),
    Scope(Bounds(sizes=(1, 1)), calls=6),
    # Closings while others wait.
    Scope(Bounds(publishers=2, joined=True)),
    Scope(Bounds(sizes=(1, 2), joined=True)),
    Scope(Bounds(sizes=(1, 0), messages=3, waiting=2, joined=True), calls=4),
    Scope(Bounds(sizes=(1, 1), messages=2, joined=True), calls=5),
    Scope(Bounds(messages=3, waiting=2, joined=True)),
    Scope(Bounds(publishers=2, messages=2, waiting=2, joined=True), calls=4),
    Scope(Bounds(publishers=2, messages=2, joined=True), calls=5),
    # A cancellation among several of each.
    Scope(Bounds(publishers=2, messages=2, cancellations=1, joined=True), calls=5),
    Scope(Bounds(sizes=(1, 2), messages=2, cancellations=1, joined=True, closings=False), counted=True),
    Scope(Bounds(publishers=2, sizes=(1, 2), cancellations=1, joined=True, closings=False), counted=True),
)


def text(scope: Scope) -> str:
    """One line, such as "2 publishers, 2 subscribers, sizes 1 and 2, 1 message each, 1 cancellation"."""
    bounds = scope.bounds
    sizes = " and ".join("default" if size is None else str(size) for size in bounds.sizes)
    parts = [
        many(bounds.publishers, "publisher"),
        many(len(bounds.sizes), "subscriber"),
        f"size{'s' * (len(bounds.sizes) > 1)} {sizes}" + f" ({bounds.default_size})" * (None in bounds.sizes),
        many(bounds.messages, "message") + " each" * (bounds.publishers > 1),
        many(bounds.cancellations, "cancellation"),
    ]
    parts += [f"{bounds.waiting} operations of an endpoint at once"] * (bounds.waiting > 1)
    parts += [] if bounds.joined else ["joins"]
    parts += [f"{many(scope.late, 'subscriber')} late"] * (scope.late > 0)
    parts += ["closings"] * bounds.closings + ["async for"] * bounds.iterating
    parts += [] if scope.calls is None else [f"any {scope.calls} calls"]
    return ", ".join(parts)
