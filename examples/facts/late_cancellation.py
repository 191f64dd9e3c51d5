"""A send times out just as its subscriber makes room, and is retried if it did. How often does its message arrive?"""

import asyncio

from contestants import MOMENTS, Contestant, contest, persist, received, turns


async def scenario(channel: Contestant, moment: int) -> str:
    subscriber = await channel.subscribe(1)
    await channel.send("first")  # now it is full
    limit = asyncio.timeout(None)
    sending = asyncio.create_task(persist(limit, lambda: channel.send("order")))
    await turns()
    reading = asyncio.create_task(channel.read(subscriber))  # makes room
    await turns(moment)
    if not sending.done():
        limit.reschedule(0)
    await reading
    return await received(channel, subscriber)


contest(scenario, cases=MOMENTS)
