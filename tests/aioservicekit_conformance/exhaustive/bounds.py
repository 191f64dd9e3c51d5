"""The bounds within which everything is tried, and how a report puts them."""

from aioservicekit_model.channel.world import Bounds

__all__ = ["BOUNDS", "COUNTED", "text"]

# Each of them is small in a different way.
COUNTED = (
    Bounds(cancellations=1),
    Bounds(sizes=(None,), default_size=1, iterating=True),
    Bounds(sizes=(0, None), default_size=1, messages=2, joined=True, closings=False),
    Bounds(messages=3, waiting=2, cancellations=1, joined=True, closings=False),
    Bounds(publishers=2, sizes=(1, 2), cancellations=1, joined=True, closings=False),
    Bounds(sizes=(1, 2), messages=2, cancellations=1, joined=True, closings=False),
    Bounds(messages=2, waiting=2, cancellations=2, joined=True, closings=False),
)
# Here the machine has too many edges to count them: it may put off every join and every closing.
UNCOUNTED = (
    Bounds(sizes=(1, 0), messages=2, closings=False),
    Bounds(messages=3, waiting=2, joined=True),
    Bounds(publishers=2, joined=True),
    Bounds(sizes=(1, 2), joined=True),
)
BOUNDS = (*COUNTED, *UNCOUNTED)


def text(bounds: Bounds) -> str:
    """One line, such as "2 publishers, 2 subscribers, sizes 1 and 2, 1 message each, 1 cancellation"."""
    sizes = " and ".join("default" if size is None else str(size) for size in bounds.sizes)
    parts = [
        _many(bounds.publishers, "publisher"),
        _many(len(bounds.sizes), "subscriber"),
        f"size{'s' * (len(bounds.sizes) > 1)} {sizes}" + f" ({bounds.default_size})" * (None in bounds.sizes),
        _many(bounds.messages, "message") + " each" * (bounds.publishers > 1),
        _many(bounds.cancellations, "cancellation"),
    ]
    parts += [f"{bounds.waiting} operations of an endpoint at once"] * (bounds.waiting > 1)
    parts += [] if bounds.joined else ["joins"]
    parts += ["closings"] * bounds.closings + ["async for"] * bounds.iterating
    return ", ".join(parts)


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
