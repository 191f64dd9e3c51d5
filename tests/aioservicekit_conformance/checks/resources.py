"""Named checks of CH-2.1, CH-3.3, CH-7.1 and CH-7.3: nothing is kept for nothing, and a channel can be inspected."""

import asyncio
import gc
import re
import sys
import warnings
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import pairwise, product
from typing import Any

from ..target import Target
from .check import Broken, NotTakenOn, check, expect, started, state_of, turn, without_addresses
from .forgetting import is_closed, weak_reference

LONG = 3600  # seconds on virtual time: what a timer of the target refers to may stay until then


class Message:
    """A message whose end can be seen."""


ENDINGS = {
    "has been read": "read",
    "has been read, unlike two later ones": "read first",
    "was read by one subscriber and left unread by another one that has closed": "left",
    "was read by one subscriber and left unread by another one that was forgotten": "forgotten",
    "was never sent, because its send was cancelled": "cancelled",
    "was never sent, because its publisher closed": "failed",
}


async def _message_kept(target: Target, ending: str) -> bool:
    """Whether a message that nobody can read any more is still there; the channel and its connected endpoints are."""
    channel = target.channel(0)
    publisher, other = await channel.connect(), await channel.connect()
    size = 0 if ending == "read first" else 1
    subscriber, full = await channel.subscribe(buffer_size=size), await channel.subscribe(buffer_size=size)
    message = Message()
    there = weakref.ref(message)
    if ending in ("cancelled", "failed"):
        await publisher.send("fills the buffers")
        sending = asyncio.ensure_future(other.send(message))
        await asyncio.sleep(0)
        if ending == "cancelled":
            sending.cancel()
        else:
            await other.close()
        await asyncio.wait([sending])
        if not sending.cancelled() and sending.exception() is None:
            return False  # it was sent all the same: whichever rule that breaks, it is another one
        del sending
    else:
        await publisher.send(message)
        for _ in range(2 if ending == "read first" else 0):
            await publisher.send("is left to read")
        readers = (subscriber, full) if ending.startswith("read") else (subscriber,)
        if [message] * len(readers) != [await reader.read() for reader in readers]:
            return False  # another one was read: whichever rule that breaks, it is another one
        if ending == "left":
            await full.close()
    if ending in ("left", "forgotten"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del full
        if ending == "forgotten" and not any(issubclass(each.category, ResourceWarning) for each in caught):
            return False  # it does not claim to close what is forgotten (CH-7.2)
        del caught
    del message
    await asyncio.sleep(LONG)
    gc.collect()
    if ending == "forgotten":
        state_of(target, channel)  # a finalizer may have left its work to whoever looks next
    kept = there() is not None
    if kept and ending in ("cancelled", "failed"):
        kept = not await _comes_all_the_same(subscriber, full)
    await channel.close()
    return kept


async def _unheard_kept(target: Target) -> bool:
    """Whether a message that reached nobody, since nobody had subscribed, is still there, and comes to nobody later."""
    channel = target.channel(0)
    publisher = await channel.connect()
    message = Message()
    there = weakref.ref(message)
    await publisher.send(message)
    del message
    await asyncio.sleep(LONG)
    gc.collect()
    kept = there() is not None and not await _comes_all_the_same(await channel.subscribe())
    await channel.close()
    return kept


async def _comes_all_the_same(*subscribers: Any) -> bool:
    """Whether somebody can still read the message: whichever rule that breaks, it is another one."""
    reads = [asyncio.ensure_future(each.read()) for each in subscribers for _ in range(2)]
    await asyncio.sleep(LONG)
    done = [read for read in reads if read.done() and not read.cancelled() and read.exception() is None]
    for read in reads:
        read.cancel()
    return any(isinstance(read.result(), Message) for read in done)


def _expect_not(program: Callable[[], Coroutine[Any, Any, bool]], what: str) -> None:
    """Expect a program to return False; if it waits for ever, that breaks another rule."""
    found = started(program)
    if found is not None:
        expect("False", str(found), f"whether {what}")


@check("CH-7.1")
def messages_that_nobody_can_read_are_let_go(target: Target) -> None:
    for words, ending in ENDINGS.items():
        _expect_not(partial(_message_kept, target, ending), f"the channel refers to a message that {words}")


def what_is_sent_to_nobody_is_let_go(target: Target) -> None:
    _expect_not(partial(_unheard_kept, target), "the channel refers to a message that was sent to nobody")


CLOSINGS = ("it has closed", "it has closed while it waited", "its channel has closed", "the other side has left")


async def _endpoint_kept(target: Target, kind: str, closing: str) -> bool:
    """Whether a closed endpoint that nobody else refers to is still there, and this can be seen."""
    channel = target.channel(1)
    publisher, subscriber = await channel.connect(), await channel.subscribe(buffer_size=0)
    others = [publisher, subscriber]
    endpoint = await (channel.connect() if kind == "publisher" else channel.subscribe())
    there = weak_reference(endpoint)
    if closing == "it has closed while it waited":
        if kind == "publisher":
            others.append(await channel.subscribe())
            await endpoint.send("fills the buffer")
            waiting = asyncio.ensure_future(endpoint.send("waits"))
        else:
            waiting = asyncio.ensure_future(endpoint.read())
        await asyncio.sleep(0)
        await endpoint.close()
        await asyncio.wait([waiting])
        waiting.cancelled() or waiting.exception()
        del waiting
    elif closing == "it has closed":
        await endpoint.close()
    elif closing == "its channel has closed":
        await channel.close()
    else:
        await (subscriber if kind == "publisher" else publisher).close()
    if not await is_closed(target, endpoint, kind):
        return False  # whichever rule that breaks, it is another one
    del endpoint
    await asyncio.sleep(LONG)
    gc.collect()
    kept = there() is not None
    await channel.close()
    assert others  # until here
    return kept


@check("CH-7.1")
def endpoints_that_have_closed_are_let_go(target: Target) -> None:
    for kind, closing in product(("publisher", "subscriber"), CLOSINGS):
        _expect_not(partial(_endpoint_kept, target, kind, closing), f"the channel refers to a {kind} when {closing}")


JOINS = 40  # so many refused ones that nothing else grows as much


async def _grows_by_refused(target: Target, kind: str) -> bool:
    """Whether each refused join of a closed channel leaves something behind."""
    channel = target.channel(0)
    await channel.close()
    sizes = []
    for _ in range(3):  # what is made once, such as a cache, is made by the first of them
        for _ in range(JOINS):
            try:
                await getattr(channel, kind)()
            except target.closed_error:
                pass
            else:
                return False  # it was not refused, which another check finds
        await asyncio.sleep(LONG)
        gc.collect()
        sizes.append(sys.getallocatedblocks())
    return min(after - before for before, after in pairwise(sizes)) >= JOINS


@check("CH-2.1")
def refused_joins_register_nothing(target: Target) -> None:
    for kind in ("subscribe", "connect"):
        what = f"a closed channel keeps something of each {kind}() that it refuses"
        _expect_not(partial(_grows_by_refused, target, kind), what)


PUBLISHERS, SIZE, OTHER_SIZE, BUFFERED = 2, 7, 11, 5
READS, SENDS = 24, 26  # so many that no endpoint's serial number is the same


async def _told(target: Target) -> dict[str, str]:
    """What `statistics()` and `repr()` show, by what they describe."""
    channel = target.channel(SIZE)
    told = {"nobody": _text(channel.statistics())}
    publisher, other = [await channel.connect() for _ in range(PUBLISHERS)]
    full = await channel.subscribe()
    empty = await channel.subscribe(buffer_size=0)
    partly = await channel.subscribe(buffer_size=OTHER_SIZE)
    for message in range(SIZE):
        await publisher.send(message)
        await empty.read()
    for _ in range(SIZE - BUFFERED):
        await partly.read()
    waiting = [asyncio.ensure_future(publisher.send("waits")) for _ in range(SENDS)]
    waiting += [asyncio.ensure_future(empty.read()) for _ in range(READS)]
    await turn(10)  # a task of the target's own may have to hear of them
    if target.states.get(channel.state) != "open" or any(operation.done() for operation in waiting):
        raise NotTakenOn("it could not be inspected: the channel is not open, or nothing waits")
    told |= {"statistics": _text(channel.statistics()), "channel": repr(channel), "subscriber": repr(partly)}
    told |= {"publisher": repr(publisher), "full": repr(full), "reading": repr(empty)}
    await other.close()
    await partly.close()
    told |= {"closed publisher": repr(other), "closed subscriber": repr(partly)}
    await channel.close()
    await asyncio.gather(*waiting, return_exceptions=True)
    told |= {"closed": _text(channel.statistics()), "nobody reads": repr(empty)}
    return told


def _text(statistics: object) -> str:
    return repr(vars(statistics) if _has_no_repr(statistics) else statistics)


def _has_no_repr(value: object) -> bool:
    return type(value).__repr__ is object.__repr__


def _numbers(target: Target, text: str) -> list[int]:
    """The numbers in a text, except addresses and those in a state's own `repr()`."""
    for state in target.states:
        text = text.replace(repr(state), "")
    return [int(number) for number in re.findall(r"-?\b\d+", without_addresses(text))]


def _require(target: Target, told: dict[str, str], what: str, numbers: dict[str, int]) -> None:
    found = _numbers(target, told[what])
    for name, number in numbers.items():
        if number not in found:
            raise Broken(f"the {what} to show {name}: {number}", told[what])


async def _keeps_its_own_size(target: Target) -> bool:
    """Whether a subscriber's own size is what it was given: a target that breaks CH-2.2 may show the size that counts."""
    channel = target.channel(SIZE)
    publisher, subscriber = await channel.connect(), await channel.subscribe(buffer_size=OTHER_SIZE)
    for message in range(OTHER_SIZE):
        await publisher.send(message)
    sending = asyncio.ensure_future(publisher.send("waits"))
    await asyncio.sleep(0)
    kept = not sending.done()
    await subscriber.close()
    await asyncio.gather(sending, return_exceptions=True)
    return kept


@check("CH-7.3")
def statistics_and_repr_tell_what_goes_on(target: Target) -> None:
    async def own() -> bool:
        """Whether the target has its own `statistics()` or `repr()`."""
        channel = target.channel(0)
        those = (channel, await channel.connect(), await channel.subscribe())
        return hasattr(channel, "statistics") and not any(map(_has_no_repr, those))

    if not started(own):
        raise NotTakenOn("the target has no statistics(), or its channel and endpoints have no repr() of their own")
    if not started(partial(_keeps_its_own_size, target)):
        raise NotTakenOn("it could not be inspected: a subscriber's own size is not kept")
    told = started(lambda: _told(target))
    if told is None:
        raise NotTakenOn("the target waits for ever while it is inspected")
    buffers = {"the buffered messages": BUFFERED, "the buffer size": OTHER_SIZE}
    waiting = {"the waiting sends": SENDS, "the waiting reads": READS}
    _require(target, told, "statistics", {**buffers, **waiting, "a full buffer": SIZE})
    _require(target, told, "subscriber", buffers)
    _require(target, told, "full", {"a full buffer": SIZE})
    counts = ("channel", "full", 1), ("channel", "sends", SENDS), ("reading", "reads", READS)
    for what, word, number in counts:
        shown = re.search(rf"\b{word} ?[=:] ?(\d+)", told[what]) or re.search(rf"(\d+) {word}\b", told[what])
        if shown:
            expect(f"{number} {word}", f"{shown[1]} {word}", f"the number of {word} in {told[what]}")
    if READS in _numbers(target, told["nobody reads"]):
        raise Broken("a closed subscriber to show that no reads wait", told["nobody reads"])
    for what in ("channel", "statistics"):
        if "open" not in told[what]:
            raise Broken(f"the {what} to show the state: open", told[what])
    for kind in ("publisher", "subscriber"):
        before, after = told[kind], told[f"closed {kind}"]
        if re.sub(r"\d+", "", before) == re.sub(r"\d+", "", after):  # in words of its own, such as connected=False
            raise Broken(
                f"the {kind} to show that it is closed once it is",
                f"{before} connected, and {after} closed",
            )
    empty, closed = (_numbers(target, told[what]) for what in ("nobody", "closed"))
    expect(repr(empty), repr(closed), "the numbers in the statistics of a closed channel, as in those of a new one")


CHECKS = (
    messages_that_nobody_can_read_are_let_go,
    *(check(obligation)(what_is_sent_to_nobody_is_let_go) for obligation in ("CH-3.3b", "CH-7.1")),
    endpoints_that_have_closed_are_let_go,
    refused_joins_register_nothing,
    statistics_and_repr_tell_what_goes_on,
)
