"""Named checks of what a call is: before its coroutine first runs, an operation has not been called, and does nothing."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ..target import Target
from .check import Check, check, expect, makes_no_difference, outcome, started, state_of


async def _never_begun(operation: Coroutine[Any, Any, object]) -> None:
    """Cancel an operation before it begins. What is compared with that does the same to nothing, and takes as many turns."""
    task = asyncio.ensure_future(operation)
    task.cancel()
    await asyncio.wait([task])


async def _join(kind: str, target: Target, abandoned: bool) -> str:
    channel = target.channel(0)
    join = {"subscribe": channel.subscribe, "connect": channel.connect}
    other = await join["connect" if kind == "subscribe" else "subscribe"]()
    await _never_begun(join[kind]() if abandoned else asyncio.sleep(0))
    assert other is not None  # until here: an endpoint to which nothing refers is closed
    return f"the channel is {state_of(target, channel)}"


async def _send(target: Target, abandoned: bool) -> str:
    channel = target.channel(0)
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    await _never_begun(publisher.send("abandoned") if abandoned else asyncio.sleep(0))
    await publisher.send("sent")
    return f"a read returns {await subscriber.read()}"


async def _read(kind: str, target: Target, abandoned: bool) -> str:
    channel = target.channel(0)
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    read = subscriber.read if kind == "read" else subscriber.__aiter__().__anext__
    await _never_begun(read() if abandoned else asyncio.sleep(0))
    reading = asyncio.ensure_future(subscriber.read())
    await asyncio.sleep(0)
    await publisher.send("sent")
    return f"a read returns {await reading}"


async def _close(kind: str, target: Target, abandoned: bool) -> str:
    channel = target.channel(0)
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    end = {"channel": channel, "publisher": publisher, "subscriber": subscriber}[kind]
    await _never_begun(end.close() if abandoned else asyncio.sleep(0))
    return f"the channel is {state_of(target, channel)}, a send {await outcome(publisher.send(1))}"


async def _in_the_order_of_the_calls(target: Target, kind: str) -> str:
    """The messages that are read, where the coroutines of two operations begin in another order than they were made."""
    channel = target.channel(1)
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    if kind == "send":
        await publisher.send("fills the buffer")
    made = [subscriber.read() if kind == "read" else publisher.send(message) for message in ("second", "first")]
    tasks = [asyncio.ensure_future(coroutine) for coroutine in reversed(made)]
    await asyncio.sleep(0)
    if kind == "send":
        await subscriber.read()
        return str([await subscriber.read() for _ in tasks])
    for message in ("first", "second"):
        await publisher.send(message)
    return str([await task for task in tasks])


def _order(obligation: str, kind: str) -> Check:
    def counts(target: Target) -> None:
        seen = started(partial(_in_the_order_of_the_calls, target, kind))
        if seen == "['second', 'first']":
            expect(
                "['first', 'second']",
                seen,
                f"two {kind}s whose coroutines begin in this order, and were made in the other",
            )

    counts.__name__ = f"{kind}s are in line from when they begin"
    return check(obligation)(counts)


def _never_called(obligation: str, what: str, program: Callable[[Target, bool], Coroutine[Any, Any, str]]) -> Check:
    return makes_no_difference(obligation, f"{what} cancelled before it begins", program)


CHECKS = (
    *(_never_called("CH-2.6", f"a {kind}", partial(_join, kind)) for kind in ("subscribe", "connect")),
    _never_called("CH-3.8c", "a send", _send),
    *(_never_called("CH-4.5b", f"a {kind}", partial(_read, kind)) for kind in ("read", "next")),
    *(
        _never_called("CH-5.1a", f"a close of the {kind}", partial(_close, kind))
        for kind in ("channel", "publisher", "subscriber")
    ),
    _order("CH-3.5", "send"),
    _order("CH-4.4b", "read"),
)
