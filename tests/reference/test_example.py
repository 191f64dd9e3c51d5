"""The first example that users meet."""

import asyncio
from typing import NamedTuple

from aioservicekit import Channel


class SystemEvent(NamedTuple):
    source: str
    message: str
    level: str


system_events = Channel[SystemEvent](buffer_size=5)


async def test_events_are_broadcast_from_a_global_channel() -> None:
    """A detector publishes on a module-level channel; a logger and an alerter with other buffer sizes each see everything."""
    logged: list[str] = []
    alerts: list[str] = []

    async def log() -> None:
        async for event in await system_events.subscribe():
            logged.append(event.message)

    async def alert() -> None:
        async with await system_events.subscribe(buffer_size=1) as subscriber:
            async for event in subscriber:
                if event.level == "ERROR":
                    alerts.append(event.message)

    async def detect() -> None:
        async with await system_events.connect() as publisher:
            for number in range(20):
                await publisher.send(SystemEvent("detector", f"event {number}", "INFO" if number % 5 else "ERROR"))

    listening = [asyncio.ensure_future(log()), asyncio.ensure_future(alert())]
    await asyncio.sleep(0)
    await detect()
    await asyncio.gather(*listening)
    assert logged == [f"event {number}" for number in range(20)]
    assert alerts == ["event 0", "event 5", "event 10", "event 15"]
