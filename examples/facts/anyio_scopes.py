"""Two of the facts again, with anyio's own time-outs around anyio's streams instead of asyncio's."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
from contestants import MOMENTS, Streams, received, turns


async def persist(scope: anyio.CancelScope, operation: Callable[[], Awaitable[str | None]]) -> str | None:
    with scope:
        return await operation()
    return await operation()


async def send(channel: Streams, moment: int) -> str:
    """As in `late_cancellation.py`."""
    subscriber = await channel.subscribe(1)
    await channel.send("first")
    scope = anyio.CancelScope()
    sending = asyncio.create_task(persist(scope, lambda: channel.send("order")))
    await turns()
    reading = asyncio.create_task(channel.read(subscriber))
    await turns(moment)
    if not sending.done():
        scope.cancel()
    await reading
    return await received(channel, subscriber)


async def read(channel: Streams, moment: int) -> str:
    """As in `late_timeout.py`."""
    subscriber = await channel.subscribe()
    scope = anyio.CancelScope()
    reading = asyncio.create_task(persist(scope, lambda: channel.read(subscriber)))
    await turns()
    sending = asyncio.create_task(channel.send("order"))
    await turns(moment)
    if not reading.done():
        scope.cancel()
    await sending
    await turns()
    return "once" if reading.done() and reading.result() == "order" else "never"


for scenario in (send, read):
    outcomes = {asyncio.run(scenario(Streams(), moment)) for moment in MOMENTS}
    print(f"a late {scenario.__name__}: {' or '.join(sorted(outcomes))}")
