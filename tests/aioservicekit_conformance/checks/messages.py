"""Named checks of messages: any object may be one, and no buffer loses any (CH-2.4, CH-3.4, CH-4)."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from itertools import product
from typing import Any

from ..target import Target
from .check import Check, Stuck, check, expect, run, started


class Incomparable:
    """A message that has no truth, no hash, and equals nothing, like an array of numbers."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("can't be compared")

    def __bool__(self) -> bool:
        raise TypeError("neither true nor false")

    def __repr__(self) -> str:
        return "an object that can't be compared"


class Awaited:
    """A message that could be awaited."""

    def __await__(self) -> Generator[None, None, str]:
        yield from ()
        return "awaited"

    def __repr__(self) -> str:
        return "an awaitable object"


MESSAGES: tuple[object, ...] = (
    *(0, None, False, "", [], ..., [1, 2], StopAsyncIteration),
    *(ValueError("sent"), asyncio.CancelledError("sent"), Incomparable(), Awaited()),
)


async def _send_and_read(target: Target, message: object, waits: bool, seen: list[str]) -> None:
    """Send a message and read it, and note how each of the two ends; the read may wait already when the message is sent."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    reading = asyncio.ensure_future(subscriber.read()) if waits else None
    await asyncio.sleep(0)
    try:
        await publisher.send(message)
        seen.append("it returns")
        found = await (reading or subscriber.read())
        seen.append("it returns that object" if found is message else ANOTHER)
    except target.closed_error:
        seen.append("it raises ChannelClosedError")
    except Exception as error:
        seen.append(f"it raises {type(error).__name__}")


async def _is_there_at_the_close(target: Target, message: object) -> bool:
    """Whether a message that nobody has read is read after the channel has closed."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    await publisher.send(message)
    await channel.close()
    try:
        return await subscriber.read() is message
    except Exception:
        return False


async def _send_one_more(target: Target, message: object, sent: list[object]) -> None:
    channel = target.channel(1)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    for each in (message, object()):
        await publisher.send(each)
        sent.append(each)
    await subscriber.close()


def _holds_back(target: Target, message: object) -> bool:
    """Whether a message takes up the room of a buffer, so that the next send waits."""
    sent: list[object] = []
    try:
        run(partial(_send_one_more, target, message, sent))
    except Stuck:
        return len(sent) == 1
    except Exception:
        pass  # whichever rule that breaks, it is another one
    return False


def _is_there(target: Target, message: object) -> bool:
    """Whether a message that nobody has read is in its subscriber's buffer; if not, it was lost."""
    return bool(started(partial(_is_there_at_the_close, target, message))) or _holds_back(target, message)


def _seen_of(target: Target, message: object, waits: bool) -> list[str]:
    seen: list[str] = []
    try:
        run(partial(_send_and_read, target, message, waits, seen))
    except Stuck:
        beside = bool(seen) and _is_there(target, message)
        seen.append(BESIDE if beside else "it waits for ever")
    except asyncio.CancelledError:
        seen.append("it raises CancelledError")
    return seen


def _whatever_was_sent(obligation: str, which: str, wrong: str, name: str) -> Check:
    """A send, and the read of its message, end as usual whatever the message is; if one does not, `wrong` matches what it does."""
    step = ("send", "read").index(which)

    def program(target: Target) -> None:
        for waits, message in product((False, True), (object(), *MESSAGES)):
            seen = _seen_of(target, message, waits)
            broken = seen[:step] == SENT_AND_READ[:step] and re.fullmatch(wrong, seen[step])
            if broken and (wrong == ANOTHER or _seen_of(target, object(), waits) == SENT_AND_READ):
                when = "while a read waits" if waits else "and then read"
                expect(SENT_AND_READ[step], seen[step], f"{message!r} is sent {when}; the {which}")

    program.__name__ = name
    return check(obligation)(program)


SENT_AND_READ = ["it returns", "it returns that object"]
BESIDE = "it waits for ever, beside its message"
ANOTHER = "it returns another object"  # a copy, for example, whatever is sent
WHATEVER_WAS_SENT = (
    _whatever_was_sent("CH-3.4", "send", "it (waits|raises).*", "whatever is sent is taken"),
    _whatever_was_sent("CH-4.1a", "read", ANOTHER, "whatever was sent is read"),
    _whatever_was_sent(
        "CH-4.1b", "read", "it raises (?!ChannelClosedError).*", "whatever was sent does not fail reading"
    ),
    _whatever_was_sent("CH-4.2b", "read", "it raises ChannelClosedError", "whatever was sent does not end reading"),
    _whatever_was_sent("CH-4.6", "read", BESIDE, "whatever was sent lets reading go on"),
)


ALIKE: tuple[list[object], ...] = (
    [[] for _ in range(6)],
    [ValueError(), None, 0, False, "", None],
    [1, True, 1.0, 1, True, 1.0],
    ["the very same"] * 6,
    list(MESSAGES),
)


async def _received(target: Target, messages: list[object]) -> list[object] | None:
    """What is read once all of these have been sent."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    for message in messages:
        await publisher.send(message)
    await channel.close()
    seen: list[object] = []
    try:
        while len(seen) <= len(messages):
            seen.append(await subscriber.read())
    except target.closed_error:
        pass
    except Exception:
        return None  # whichever rule that breaks, it is another one
    return seen


@check("CH-2.4a")
def messages_that_are_alike_are_all_received(target: Target) -> None:
    for alike in ALIKE:
        seen = started(partial(_received, target, [*alike]))
        if seen is None or len(seen) == len(alike):
            continue
        others = started(partial(_received, target, [object() for _ in alike]))
        there = any(_seen_of(target, each, False)[-1:] == [BESIDE] for each in alike)
        if others is not None and len(others) == len(alike) and not there:
            expect(f"{len(alike)} messages", f"{len(seen)} messages", f"what is read from {alike!r}")


@check("CH-4.1a")
def messages_that_are_alike_are_not_exchanged(target: Target) -> None:
    for alike in ALIKE:
        seen = started(partial(_received, target, [*alike]))
        if seen is not None and len(seen) == len(alike):
            exchanged = (Counter(map(id, alike)) - Counter(map(id, seen))).total()
            found = f"{exchanged} others in their place" if exchanged else "these very objects"
            expect("these very objects", found, f"what is read from {alike!r}")


@check("CH-2.4a")
def an_unbounded_buffer_keeps_everything(target: Target) -> None:
    few, many = (started(partial(_received, target, [*range(count)])) for count in (3, 100))
    if few is not None and len(few) == 3:
        seen = "an operation that waits for ever" if many is None else f"{len(many)} messages"
        expect("100 messages", seen, "what is read of 100 messages that nobody read meanwhile")


Drain = Callable[[Target, Any], Coroutine[Any, Any, list[object]]]
AT_MOST = 100  # messages: a target may return some for ever


async def _by_reading(target: Target, subscriber: Any) -> list[object]:
    seen: list[object] = []
    try:
        while len(seen) < AT_MOST:
            seen.append(await subscriber.read())
    except target.closed_error:
        pass
    return seen


async def _by_iteration(target: Target, subscriber: Any) -> list[object]:
    seen: list[object] = []
    async for message in subscriber:
        seen.append(message)
        if len(seen) == AT_MOST:
            break
    return seen


async def _by_both(target: Target, subscriber: Any) -> list[object]:
    """One iterator, and reads between its steps."""
    seen: list[object] = []
    try:
        async for message in subscriber:
            seen.append(message)
            seen.append(await subscriber.read())
            if len(seen) >= AT_MOST:
                break
    except target.closed_error:
        pass
    return seen


TO_DRAIN: tuple[tuple[object, ...], ...] = (MESSAGES, ("again",) * 4)


async def _drained(target: Target, messages: tuple[object, ...], drain: Drain) -> list[object]:
    """What is read from a channel that has closed with buffered messages."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    for message in messages:
        await publisher.send(message)
    await channel.close()
    try:
        return await drain(target, subscriber)
    except Exception as error:
        return [f"{type(error).__name__} raised"]


@check("CH-4.7a")
def async_for_yields_what_read_returns(target: Target) -> None:
    for messages, drain in product(TO_DRAIN, (_by_iteration, _by_both)):
        expected = started(partial(_drained, target, messages, _by_reading))
        seen = started(partial(_drained, target, messages, drain))
        if expected is not None and seen is not None:
            expect(repr(expected), repr(seen), "async for over the messages of a closed channel")


@check("CH-4.7b")
def async_for_ends_with_the_last_message(target: Target) -> None:
    if started(partial(_drained, target, MESSAGES, _by_reading)) is not None:
        run(partial(_drained, target, MESSAGES, _by_iteration))


CHECKS = (
    *WHATEVER_WAS_SENT,
    messages_that_are_alike_are_all_received,
    messages_that_are_alike_are_not_exchanged,
    an_unbounded_buffer_keeps_everything,
    async_for_yields_what_read_returns,
    async_for_ends_with_the_last_message,
)
