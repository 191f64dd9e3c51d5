"""Named checks: rules, or parts of them, that a history of calls can't show.

Each check uses a target as its users do, on a hand-stepped loop, and raises `Broken` where a rule is broken.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from .loop import SteppedLoop
from .target import Target

__all__ = ["CHECKS", "UNTESTED", "Broken", "Check", "run"]

_T = TypeVar("_T")

UNTESTED = {
    "CH-6.1": "several event loops in several threads are not explored yet",
    "CH-6.2": "several event loops in several threads are not explored yet",
    "CH-6.3": "several event loops in several threads are not explored yet",
    "CH-7.1": "references are not looked at yet",
    "CH-7.2": "garbage collection is not forced yet",
    "CH-7.3": "what repr() and statistics() tell is not compared yet",
}


class Broken(Exception):
    """What a rule asks for, and what was seen instead."""

    def __init__(self, expected: str, observed: str) -> None:
        super().__init__(f"expected {expected}; observed {observed}")
        self.expected = expected
        self.observed = observed


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
        raise Broken("an end", "an operation that waits for ever")
    return task.result()


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

    async def use() -> object:
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        await publisher.send(1)
        return await subscriber.read()

    expect("1 returned", run(lambda: outcome(use())), "a message through a channel that was built with no running loop")


@check("CH-2.3")
def a_constructor_refuses_bad_buffer_sizes(target: Target) -> None:
    for size, error in BAD_SIZES:

        async def build(size: object = size) -> None:
            target.channel(size)

        expect(f"{error} raised", run(lambda build=build: outcome(build())), f"Channel(buffer_size={size!r})")  # type: ignore[misc]


@check("CH-2.3")
def subscribing_refuses_bad_buffer_sizes_and_registers_nothing(target: Target) -> None:
    async def use() -> None:
        for size, error in BAD_SIZES:
            if size is None:
                continue
            channel = target.channel(1)
            publisher = await channel.connect()
            expect(
                f"{error} raised",
                await outcome(channel.subscribe(buffer_size=size)),
                f"subscribe(buffer_size={size!r})",
            )
            state = target.states.get(channel.state, repr(channel.state))
            expect("initiation", state, f"the state after subscribe(buffer_size={size!r}) has raised")
            await publisher.send(1)
            await publisher.send(2)

    run(use)


BAD_SIZES: tuple[tuple[object, str], ...] = (
    (-1, "ValueError"),
    (-1_000_000, "ValueError"),
    (True, "TypeError"),
    (False, "TypeError"),
    (1.0, "TypeError"),
    ("1", "TypeError"),
    (None, "TypeError"),
)


@check("CH-4.7")
def async_for_yields_what_is_buffered_and_ends(target: Target) -> None:
    async def use() -> None:
        channel = target.channel(0)
        subscriber, publisher = await channel.subscribe(), await channel.connect()
        for message in range(3):
            await publisher.send(message)
        await channel.close()
        seen = [message async for message in subscriber]
        expect("[0, 1, 2]", repr(seen), "async for over three buffered messages of a closed channel")

    run(use)


class _Passing(Exception):
    """Raised in a block, to pass through it unchanged."""


def _block(what: str) -> Callable[[Target], None]:
    async def enter(target: Target, error: BaseException | None) -> tuple[str, str]:
        """Leave a block with or without an error: how it was left, and how closed things are then."""
        channel = target.channel(1)
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        other_publisher, other_subscriber = await channel.connect(), await channel.subscribe()
        left = "left normally"
        try:
            async with {"channel": channel, "publisher": publisher, "subscriber": subscriber}[what] as entered:
                if what == "publisher":
                    await entered.send(1)
                elif what == "subscriber":
                    await other_publisher.send(1)
                    await entered.read()
                else:
                    await (await entered.connect()).close()
                if error is not None:
                    raise error
        except BaseException as raised:
            left = "the same exception" if raised is error else f"{type(raised).__name__} raised"
        if what == "channel":
            closed = target.states.get(channel.state, repr(channel.state))
        elif what == "publisher":
            await other_subscriber.read()
            await subscriber.read()
            closed = "closed" if await outcome(publisher.send(2)) != "None returned" else "still connected"
        else:
            await other_subscriber.read()
            await other_publisher.send(2)
            await other_subscriber.read()
            closed = "closed" if await outcome(subscriber.read()) != "2 returned" else "still connected"
        return left, closed

    def program(target: Target) -> None:
        closed_error = target.closed_error("raised in the block")
        for error in (None, _Passing(), closed_error, asyncio.CancelledError()):
            left, closed = run(lambda error=error: enter(target, error))  # type: ignore[misc]
            how = "without an error" if error is None else f"by {type(error).__name__}"
            expect("left normally" if error is None else "the same exception", left, f"async with {what}, left {how}")
            expect("closed", closed, f"the {what} after its block was left {how}")

    program.__name__ = f"async_with_closes_a_{what}"
    return program


for _what in ("channel", "publisher", "subscriber"):
    check("CH-5.4")(_block(_what))
