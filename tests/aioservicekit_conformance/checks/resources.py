"""Named checks of what a channel owes to the program around it (CH-7), if the target claims these rules."""

import asyncio
import gc
import re
import warnings
import weakref
from functools import partial
from typing import Any

from ..target import Target
from .check import Broken, NotTakenOn, check, expect, started, state_of, without_addresses


async def _warned_of(target: Target, kind: str, closing: str) -> tuple[list[str], str]:
    """The warnings that name an endpoint when it is collected, and the channel's state afterwards.

    The endpoint is the only one of its kind. `closing` says what is closed first: "", "endpoint" or "channel".
    """
    channel = target.channel(0)
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    endpoint, other = (publisher, subscriber) if kind == "publisher" else (subscriber, publisher)
    del publisher, subscriber
    if closing:
        await (endpoint if closing == "endpoint" else channel).close()
        if not await _is_closed(target, endpoint, kind):
            return [], state_of(target, channel)  # so it may well warn: whichever rule that breaks, it is another one
    address = f"{id(endpoint):x}"
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del endpoint
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0)
    assert other is not None  # until here
    said = (str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning))
    named = [text for text in said if kind in text.lower() or address in text.lower()]
    return named, state_of(target, channel)


async def _is_closed(target: Target, endpoint: Any, kind: str) -> bool:
    try:
        await (endpoint.send(1) if kind == "publisher" else endpoint.read())
    except target.closed_error:
        return True
    except Exception:
        return False
    return False


NOBODY_WARNED = "the target does not warn, by name, of endpoints that are forgotten while connected"


@check("CH-7.2a")
def forgotten_endpoints_are_closed_with_a_warning(target: Target) -> None:
    kinds = ("publisher", "subscriber")
    ways = [(kind, closing) for kind in kinds for closing in ("", "endpoint", "channel")]
    seen = {way: started(lambda way=way: _warned_of(target, *way)) for way in ways}  # type: ignore[misc]
    if not any(found and found[0] for found in seen.values()):
        raise NotTakenOn(NOBODY_WARNED)
    for (kind, closing), found in seen.items():
        if found is None:
            continue
        named, state = found
        if closing:
            expect("[]", repr(named), f"ResourceWarnings of a {kind} that is collected when its {closing} has closed")
        elif not named:
            raise Broken(f"a ResourceWarning that names the forgotten {kind}", "none")
        else:
            by_hand = seen[kind, "endpoint"]  # a channel that stays open even then breaks another rule
            expected = by_hand[1] if by_hand else "closed"
            expect(expected, state, f"the channel's state after its only {kind} was forgotten")


@check("CH-7.2a")
def a_forgotten_subscriber_holds_nobody_back(target: Target) -> None:
    async def send_past(kind: str) -> bool:
        channel = target.channel(1)
        publisher, subscriber = await channel.connect(), await channel.subscribe(buffer_size=0)
        full = await channel.subscribe()
        await publisher.send(1)
        sending = asyncio.ensure_future(publisher.send(2))
        await asyncio.sleep(0)
        if kind == "forgotten":
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                del full
                gc.collect()
            if not any(issubclass(each.category, ResourceWarning) for each in caught):
                raise NotTakenOn(NOBODY_WARNED)
        else:
            await full.close()
        for _ in range(10):
            await asyncio.sleep(0)
        gone: bool = sending.done()
        await channel.close()
        await asyncio.gather(sending, return_exceptions=True)
        assert subscriber is not None  # until here
        return gone

    if started(lambda: send_past("closed")):
        expect(
            "True",
            str(started(lambda: send_past("forgotten"))),
            "a waiting send returns when the full subscriber is forgotten",
        )


LONG = 3600  # seconds on virtual time: what a timer of the target refers to may stay until then


class Message:
    """A message whose end can be seen."""


ENDINGS = {
    "has been read": "read",
    "was read by one subscriber and left unread by another one that has closed": "left",
    "was never sent, because its send was cancelled": "cancelled",
    "was never sent, because its publisher closed": "failed",
}


async def _message_kept(target: Target, ending: str) -> bool:
    """Whether a message that nobody can read any more is still there; the channel and its connected endpoints are."""
    channel = target.channel(0)
    publisher, other = await channel.connect(), await channel.connect()
    subscriber, full = await channel.subscribe(buffer_size=1), await channel.subscribe(buffer_size=1)
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
        await subscriber.read()
        await (full.read() if ending == "read" else full.close())
    if ending == "left":
        del full
    del message
    await asyncio.sleep(LONG)
    gc.collect()
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


@check("CH-7.1")
def messages_that_nobody_can_read_are_let_go(target: Target) -> None:
    programs = {words: partial(_message_kept, target, ending) for words, ending in ENDINGS.items()}
    programs["was sent to nobody"] = partial(_unheard_kept, target)
    for words, program in programs.items():
        kept = started(program)
        if kept is not None:
            expect("False", str(kept), f"whether the channel refers to a message that {words}")


async def _endpoint_kept(target: Target, kind: str, *, waited: bool) -> bool | None:
    """Whether a closed endpoint that nobody else refers to is still there; None if that can't be seen."""
    channel = target.channel(1)
    stays = [await channel.connect(), await channel.subscribe(buffer_size=0)]
    endpoint = await (channel.connect() if kind == "publisher" else channel.subscribe())
    try:
        there = weakref.ref(endpoint)
    except TypeError:
        return None
    if waited:  # an operation of its own waits until the close
        if kind == "publisher":
            full = await channel.subscribe()
            await endpoint.send("fills the buffer")
            waiting = asyncio.ensure_future(endpoint.send("waits"))
            stays.append(full)
        else:
            waiting = asyncio.ensure_future(endpoint.read())
        await asyncio.sleep(0)
        await endpoint.close()
        await asyncio.wait([waiting])
        waiting.cancelled() or waiting.exception()
        del waiting
    else:
        await endpoint.close()
    del endpoint
    await asyncio.sleep(LONG)
    gc.collect()
    kept = there() is not None
    await channel.close()
    assert stays  # until here
    return kept


@check("CH-7.1")
def endpoints_that_have_closed_are_let_go(target: Target) -> None:
    for kind in ("publisher", "subscriber"):
        for waited in (False, True):
            kept = started(lambda kind=kind, waited=waited: _endpoint_kept(target, kind, waited=waited))  # type: ignore[misc]
            if kept is not None:
                words = f"whether the channel refers to a {kind} that has closed{' while it waited' if waited else ''}"
                expect("False", str(kept), words)


PUBLISHERS, SIZE, OTHER_SIZE, BUFFERED, READS, SENDS = 2, 7, 11, 5, 4, 6


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
    await asyncio.sleep(0)
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


@check("CH-7.3")
def statistics_and_repr_tell_what_goes_on(target: Target) -> None:
    async def own() -> bool:
        """Whether the target has its own `statistics()` or `repr()`."""
        channel = target.channel(0)
        those = (channel, await channel.connect(), await channel.subscribe())
        return hasattr(channel, "statistics") and not any(map(_has_no_repr, those))

    if not started(own):
        raise NotTakenOn("the target has no statistics(), or its channel and endpoints have no repr() of their own")
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
        if "closed" in before or "closed" not in after:
            raise Broken(
                f"the {kind} to show that it is closed once it is",
                f"{before} connected, and {after} closed",
            )
    empty, closed = (_numbers(target, told[what]) for what in ("nobody", "closed"))
    expect(repr(empty), repr(closed), "the numbers in the statistics of a closed channel, as in those of a new one")


CHECKS = (
    messages_that_nobody_can_read_are_let_go,
    endpoints_that_have_closed_are_let_go,
    forgotten_endpoints_are_closed_with_a_warning,
    a_forgotten_subscriber_holds_nobody_back,
    statistics_and_repr_tell_what_goes_on,
)
