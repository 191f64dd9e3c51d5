"""A publisher, two subscribers, and back-pressure from the slower one."""

import asyncio
from collections.abc import AsyncIterator

from aioservicekit import Channel


async def main() -> None:
    channel = Channel[str](buffer_size=2)
    async with await channel.connect() as publisher:
        subscribers = [await channel.subscribe() for _ in range(2)]
        readers = [asyncio.create_task(collect(subscriber)) for subscriber in subscribers]
        for message in ("one", "two", "three", "four"):
            await publisher.send(message)  # waits while a subscriber has two messages unread
    print(await asyncio.gather(*readers))  # the last publisher has closed, so the iterations end


async def collect(messages: AsyncIterator[str]) -> list[str]:
    return [message async for message in messages]


if __name__ == "__main__":
    asyncio.run(main())
