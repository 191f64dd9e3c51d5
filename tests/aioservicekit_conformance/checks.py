"""Named checks: rules, or parts of them, that a history of calls can't show.

Each check uses a target as its users do, on a hand-stepped loop, and raises `Broken` where a rule is broken.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from .loop import SteppedLoop
from .target import Target

__all__ = ["CHECKS", "OPTIONAL", "UNTESTED", "Broken", "Check", "NotTakenOn", "run"]

_T = TypeVar("_T")

UNTESTED = {
    "CH-6.1": "several event loops in several threads are not explored yet",
    "CH-6.2": "several event loops in several threads are not explored yet",
    "CH-6.3": "several event loops in several threads are not explored yet",
    "CH-7.1": "references are not looked at yet",
}
OPTIONAL = frozenset({*UNTESTED, "CH-7.2", "CH-7.3"})  # a target that does nothing about these conforms all the same


def without_addresses(text: str) -> str:
    """A text without what differs from run to run in a default `repr()`."""
    return re.sub("0x[0-9a-fA-F]+", "0x...", text)


class Broken(Exception):
    """What a rule asks for, and what was seen instead."""

    def __init__(self, expected: str, observed: str) -> None:
        self.expected = without_addresses(expected)
        self.observed = without_addresses(observed)
        super().__init__(f"expected {self.expected}; observed {self.observed}")


class NotTakenOn(Exception):
    """The target does nothing about a rule of `OPTIONAL`; its text says what it does not do."""


class Stuck(Broken):
    """A program of a check waits for ever."""


class Check(NamedTuple):
    rule: str
    name: str
    program: Callable[[Target], None]


CHECKS: list[Check] = []


def check(rule: str) -> Callable[[Callable[[Target], None]], Callable[[Target], None]]:
    def register(program: Callable[[Target], None]) -> Callable[[Target], None]:
        CHECKS.append(Check(rule, program.__name__.replace("_", " "), program))
        return program

    return register


def run(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """What a coroutine function returns, or raises, on a loop that is stepped until it rests.

    Raises:
        Broken: it waits for something that never comes, or uses what no hand-stepped loop offers.
    """
    loop = SteppedLoop()
    task = loop.start(main())
    loop.run_until_rest()
    if loop.escapes:
        task.cancel()
        loop.run_until_rest()
        raise Broken("nothing that only a real event loop offers", f"the use of {loop.escapes[0]}")
    if not task.done():
        task.cancel()
        loop.run_until_rest()
        raise Stuck("an end", "an operation that waits for ever")
    return task.result()


def started(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T | None:
    """As `run`, but None where it waits for ever: whatever rule that breaks, it is not the one that is looked at."""
    try:
        return run(main)
    except Stuck:
        return None


async def outcome(operation: Coroutine[Any, Any, object]) -> str:
    """How an operation ended, in words."""
    try:
        value = await operation
    except Exception as error:
        return f"{type(error).__name__} raised"
    return f"{value!r} returned"


def expect(expected: str, observed: str, what: str) -> None:
    if expected != observed:
        raise Broken(f"{what}: {expected}", observed)


@check("CH-1.1")
def a_channel_is_built_with_no_running_loop(target: Target) -> None:
    try:
        channel = target.channel(1)
    except Exception as error:
        raise Broken("a channel built with no running event loop", f"{type(error).__name__}: {error}") from error

    async def use() -> None:
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        await publisher.send(1)
        await subscriber.read()

    used = started(lambda: outcome(use()))
    if used is not None:
        expect("None returned", used, "using a channel that was built with no running loop")


@check("CH-1.7")
def entering_a_channel_changes_nothing(target: Target) -> None:
    async def states(*, joined: bool, closed: bool) -> tuple[str, str]:
        """The state before a channel's block is entered, and in it."""
        channel = target.channel(0)
        endpoints = [await channel.connect(), await channel.subscribe()] if joined else []
        if closed:
            await channel.close()
        before = channel.state
        await channel.__aenter__()
        assert endpoints is not None  # until here: an endpoint that nobody holds is closed
        return (target.states.get(before, repr(before)), target.states.get(channel.state, repr(channel.state)))

    for joined, closed in ((False, False), (True, False), (False, True), (True, True)):
        seen = started(lambda joined=joined, closed=closed: states(joined=joined, closed=closed))  # type: ignore[misc]
        if seen is not None:
            expect(seen[0], seen[1], "the state in async with channel, as before it")


@check("CH-2.2")
def a_channel_built_without_a_size_holds_nobody_back(target: Target) -> None:
    async def send_three(*size: int) -> None:
        channel = target.channel(*size)
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        for message in range(3):
            await publisher.send(message)
        assert subscriber is not None  # until here: an endpoint that nobody holds is closed

    if started(lambda: outcome(send_three(0))) == "None returned":
        seen = started(lambda: outcome(send_three())) or "they wait for ever"
        expect("None returned", seen, "three sends on Channel(), whose subscriber reads nothing")


@check("CH-2.3")
def a_constructor_refuses_bad_buffer_sizes(target: Target) -> None:
    for size, error in BAD_SIZES:

        async def build(size: object = size) -> None:
            target.channel(size)

        expect(f"{error} raised", run(lambda build=build: outcome(build())), f"Channel(buffer_size={size!r})")  # type: ignore[misc]


@check("CH-2.3")
def subscribing_refuses_bad_buffer_sizes_and_registers_nothing(target: Target) -> None:
    async def last_of(size: object) -> tuple[str, str]:
        """How subscribing ends, and the state once the only other subscriber has closed."""
        channel = target.channel(1)
        subscriber, _ = await channel.subscribe(), await channel.connect()
        tried = "" if size is None else await outcome(channel.subscribe(buffer_size=size))
        await subscriber.close()
        return tried, target.states.get(channel.state, repr(channel.state))

    undisturbed = started(lambda: last_of(None))
    plain = undisturbed and undisturbed[1]

    async def use() -> None:
        for size, error in BAD_SIZES:
            if size is None:
                continue
            tried, state = await last_of(size)
            expect(f"{error} raised", tried, f"subscribe(buffer_size={size!r})")
            if plain is not None:
                expect(plain, state, f"the state after all subscribers but the refused one of {size!r} have closed")

    started(use)


BAD_SIZES: tuple[tuple[object, str], ...] = (
    (-1, "ValueError"),
    (-1_000_000, "ValueError"),
    (True, "TypeError"),
    (False, "TypeError"),
    (1.0, "TypeError"),
    ("1", "TypeError"),
    (None, "TypeError"),
)


MESSAGES: tuple[object, ...] = (0, None, False, "", StopAsyncIteration, ValueError("sent"), [])


async def _read_what_was_sent(target: Target, message: object) -> str:
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    await publisher.send(message)
    try:
        return "the same object" if await subscriber.read() is message else "another object"
    except target.closed_error:
        return "ChannelClosedError raised"


def _whatever_was_sent(rule: str, wrong: str) -> Callable[[Target], None]:
    def whatever_was_sent_is_read(target: Target) -> None:
        if started(lambda: _read_what_was_sent(target, object())) == "the same object":
            for message in MESSAGES:
                seen = started(lambda message=message: _read_what_was_sent(target, message))  # type: ignore[misc]
                if seen == wrong:
                    raise Broken(f"read() to return the very object that was sent, {message!r}", seen)

    return check(rule)(whatever_was_sent_is_read)


_whatever_was_sent("CH-4.1", "another object")
_whatever_was_sent("CH-4.2", "ChannelClosedError raised")


@check("CH-4.7")
def async_for_yields_what_read_returns_and_ends(target: Target) -> None:
    async def use(read_all: Callable[[Any], Coroutine[Any, Any, list[object]]]) -> list[object]:
        channel = target.channel(0)
        subscriber, publisher = await channel.subscribe(), await channel.connect()
        for message in MESSAGES:
            await publisher.send(message)
        await channel.close()
        return await read_all(subscriber)

    async def by_read(subscriber: Any) -> list[object]:
        seen: list[object] = []
        try:
            while len(seen) <= len(MESSAGES):
                seen.append(await subscriber.read())
        except target.closed_error:
            pass
        return seen

    async def by_iteration(subscriber: Any) -> list[object]:
        seen: list[object] = []
        async for message in subscriber:
            seen.append(message)
            if len(seen) > len(MESSAGES):
                break
        return seen

    expected = started(lambda: use(by_read))
    if expected is not None:
        expect(repr(expected), repr(run(lambda: use(by_iteration))), "async for over the messages of a closed channel")


class _Passing(Exception):
    """Raised in a block, to pass through it unchanged."""


def _block(what: str) -> Callable[[Target], None]:
    async def leave(target: Target, error: BaseException | None, by_hand: bool) -> tuple[str, str]:
        """Leave a block, or close by hand: how that ended, and what can be done afterwards."""
        channel = target.channel(0)
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        others = await channel.connect(), await channel.subscribe()
        left = "left normally"
        closing = {"channel": channel, "publisher": publisher, "subscriber": subscriber}[what]
        try:
            if by_hand:
                await closing.close()
            else:
                async with closing as entered:
                    if not hasattr(entered, "close"):
                        raise Broken(f"async with to give the {what}", repr(entered))
                    if error is not None:
                        raise error
        except BaseException as raised:
            left = "the same exception" if raised is error else f"{type(raised).__name__} raised"
        state = target.states.get(channel.state, repr(channel.state))
        assert others  # until here: an endpoint that nobody holds is closed
        return left, f"channel {state}, send {await outcome(publisher.send(1))}, {await _joins(channel)}"

    async def _joins(channel: Any) -> str:
        return f"connect {(await outcome(channel.connect())).split()[-1]}"

    async def reads(target: Target, by_hand: bool) -> str:
        """What a read finds on a subscriber that was closed before a message was sent."""
        channel = target.channel(0)
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        other = await channel.subscribe()
        if by_hand:
            await subscriber.close()
        else:
            async with subscriber:
                pass
        await outcome(publisher.send(1))
        found = await outcome(subscriber.read())
        await other.close()
        return found

    def program(target: Target) -> None:
        closed_error = target.closed_error("raised in the block")
        for error in (None, _Passing(), closed_error, asyncio.CancelledError()):
            by_hand = started(lambda: leave(target, None, True))
            if by_hand is None:
                continue
            left, after = run(lambda error=error: leave(target, error, False))  # type: ignore[misc]
            how = "without an error" if error is None else f"by {type(error).__name__}"
            expect("left normally" if error is None else "the same exception", left, f"async with {what}, left {how}")
            expect(by_hand[1], after, f"as after close(), when the block of a {what} was left {how}")
        if what == "subscriber":
            found = started(lambda: reads(target, True))
            if found is not None:
                expect(found, str(started(lambda: reads(target, False))), "as after close(), when reading")

    program.__name__ = f"async_with_closes_a_{what}"
    return program


for _what in ("channel", "publisher", "subscriber"):
    check("CH-5.4")(_block(_what))
