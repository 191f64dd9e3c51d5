"""A read times out just as its message arrives, and is retried if it did. How often does it get the message?"""

import asyncio

from contestants import MOMENTS, Contestant, contest, persist, turns


async def scenario(channel: Contestant, moment: int) -> str:
    subscriber = await channel.subscribe()
    limit = asyncio.timeout(None)
    reading = asyncio.create_task(persist(limit, lambda: channel.read(subscriber)))
    await turns()
    sending = asyncio.create_task(channel.send("order"))
    await turns(moment)
    if not reading.done():
        limit.reschedule(0)
    await sending
    await turns()
    return "once" if reading.done() and reading.result() == "order" else "never"


contest(scenario, cases=MOMENTS)
