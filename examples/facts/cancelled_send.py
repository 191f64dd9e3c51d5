"""A send waits for a slow subscriber, times out, and is sent again. How often does a subscriber with room get it?"""

import asyncio

from contestants import Contestant, contest, persist, received, turns


async def scenario(channel: Contestant, slow_joins_first: bool) -> str:
    if slow_joins_first:
        slow, quick = await channel.subscribe(1), await channel.subscribe()
    else:
        quick, slow = await channel.subscribe(), await channel.subscribe(1)
    await channel.send("first")  # the slow one is full
    limit = asyncio.timeout(None)
    sending = asyncio.create_task(persist(limit, lambda: channel.send("order")))
    await turns()
    limit.reschedule(0)
    await received(channel, slow)  # makes room
    await sending
    return await received(channel, quick)


contest(scenario, cases=[True, False])
