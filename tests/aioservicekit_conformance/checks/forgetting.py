"""Named checks of CH-7.2, if the target claims it: an endpoint that nobody refers to any more is closed, with a warning."""

import asyncio
import gc
import warnings
import weakref
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from ..target import Target
from .check import Broken, NotTakenOn, check, expect, started, state_of, turn

__all__ = ["CHECKS", "NOBODY_WARNED", "is_closed", "weak_reference"]

NOBODY_WARNED = "the target does not warn, by name, of endpoints that are forgotten while connected"

FIRST = ("", "endpoint", "channel", "other side")  # what is closed before the endpoint is forgotten
USED, BESIDE, NEW = " that was used", " beside another one", " of a channel that has not opened"
FULL, FULL_BESIDE = " that is full while a send waits", " that is full while a send waits, beside another one"
SITUATIONS = [
    *product(("publisher", "subscriber"), ("", USED, BESIDE, NEW)),
    *product(("subscriber",), (FULL, FULL_BESIDE)),
]


class Forgotten(NamedTuple):
    """What comes of an endpoint that nobody refers to any more.

    Attributes:
        kept: whether it is still there.
        named: the warnings that name it.
        effect: the channel's state afterwards, and what becomes of a read that waits, and of a send.
    """

    kept: bool
    named: list[str]
    effect: str


async def _forget(target: Target, kind: str, situation: str, first: str) -> Forgotten:
    channel = target.channel(0)
    join = {"publisher": channel.connect, "subscriber": channel.subscribe}
    is_full = situation in (FULL, FULL_BESIDE)
    endpoint = await (channel.subscribe(buffer_size=1) if is_full else join[kind]())
    kinds = [] if situation == NEW else [each for each in join if each != kind or situation in (BESIDE, FULL_BESIDE)]
    others = {each: await join[each]() for each in kinds}
    if situation == USED:
        await _use(**{"publisher": endpoint, "subscriber": endpoint, **others})
    reads = [asyncio.ensure_future(others["subscriber"].read())] if "subscriber" in others else []
    await asyncio.sleep(0)
    if is_full:
        await others["publisher"].send("fills the buffer")
    sends = [asyncio.ensure_future(others["publisher"].send("waits"))] if is_full else []
    await asyncio.sleep(0)
    if first:
        other_side = others.get("subscriber" if kind == "publisher" else "publisher", channel)
        await {"endpoint": endpoint, "channel": channel, "other side": other_side}[first].close()
        if not await is_closed(target, endpoint, kind):  # so it may well warn: that breaks another rule
            return Forgotten(False, [], "")
    address = f"{id(endpoint):x}"
    there = weak_reference(endpoint)
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del endpoint
        gc.collect()
        await turn(10)
    said = [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)]
    del caught  # a warning may refer to its source
    named = [text for text in said if kind in text.lower() or address in text.lower()]
    ends = [f"a read {_end(read)}" for read in reads] + [f"a send {_end(send)}" for send in sends]
    if "publisher" in others:
        sends.append(asyncio.ensure_future(others["publisher"].send("is sent afterwards")))
        await turn(10)
        ends.append(f"a later send {_end(sends[-1])}")
    if situation == NEW and state_of(target, channel) == "initiation":
        (other,) = (each for each in join if each != kind)
        others[other] = await join[other]()  # the channel opens if the forgotten endpoint is still there
    effect = ", ".join([f"channel {state_of(target, channel)}", *ends])
    await channel.close()
    await asyncio.gather(*reads, *sends, return_exceptions=True)
    del reads, sends, others
    gc.collect()
    return Forgotten(there() is not None, named, effect)


def _end(operation: asyncio.Future[object]) -> str:
    if not operation.done():
        return "waits"
    error = None if operation.cancelled() else operation.exception()
    return f"raises {type(error).__name__}" if error else "ends"


def weak_reference(value: object) -> Callable[[], object]:
    """A weak reference, or one to nothing if the value takes none."""
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: None


async def _use(publisher: Any, subscriber: Any) -> None:
    """A send, a read that returns, and one that is cancelled."""
    await publisher.send("is read")
    await subscriber.read()
    reading = asyncio.ensure_future(subscriber.read())
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])


async def is_closed(target: Target, endpoint: Any, kind: str) -> bool:
    """Whether an endpoint, a "publisher" or a "subscriber", is closed, and has no more than one message left."""
    try:
        for _ in range(2):  # there may be a message to read
            await (endpoint.send(1) if kind == "publisher" else endpoint.read())
    except target.closed_error:
        return True
    except Exception:
        return False
    return False


def _forgotten(target: Target) -> dict[tuple[str, str, str], Forgotten]:
    """What comes of endpoints that are forgotten in each situation, unless the target waits for ever."""
    ways = [(*situation, first) for situation in SITUATIONS for first in FIRST]
    seen = {way: found for way in ways if (found := started(partial(_forget, target, *way)))}
    if not any(found.named for found in seen.values()):
        raise NotTakenOn(NOBODY_WARNED)
    return seen


@check("CH-7.2b")
def forgotten_endpoints_are_not_kept(target: Target) -> None:
    for (kind, situation, first), found in _forgotten(target).items():
        if not first:
            expect("False", str(found.kept), f"whether a forgotten {kind}{situation} is still there")


@check("CH-7.2a")
def forgotten_endpoints_are_closed_with_a_warning(target: Target) -> None:
    seen = _forgotten(target)
    for kind, situation in SITUATIONS:
        endpoint = f"{kind}{situation}"
        forgotten, by_hand = (seen.get((kind, situation, first)) for first in ("", "endpoint"))
        for first in FIRST[1:]:
            closed = seen.get((kind, situation, first))
            words = f"ResourceWarnings of a {endpoint} that is collected when its {first} has closed"
            expect("[]", repr(closed.named if closed else []), words)
        if forgotten and forgotten.kept:
            continue
        if forgotten and not forgotten.named:
            raise Broken(f"a ResourceWarning that names the forgotten {endpoint}", "none")
        if by_hand and by_hand.effect:  # a close() that has no effect breaks another rule
            effect = forgotten.effect if forgotten else "an operation waits for ever"
            expect(by_hand.effect, effect, f"after a {endpoint} was forgotten, as after its close()")


CHECKS = (
    forgotten_endpoints_are_not_kept,
    forgotten_endpoints_are_closed_with_a_warning,
)
