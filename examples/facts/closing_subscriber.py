"""A send waits for a slow subscriber, which closes. What happens to the send?"""

import asyncio

from contestants import Contestant, contest, received, turns


async def scenario(channel: Contestant, slow_joins_first: bool) -> str:
    if slow_joins_first:
        slow, other = await channel.subscribe(1), await channel.subscribe()
    else:
        other, slow = await channel.subscribe(), await channel.subscribe(1)
    await channel.send("first")  # the slow one is full
    sending = asyncio.create_task(channel.send("order"))
    await turns()
    await channel.close(slow)
    await turns()
    if not sending.done():
        return "waits for ever"
    if error := sending.exception():
        return f"raises `{type(error).__name__}`"
    assert await received(channel, other) == "once"
    return "goes on"


contest(scenario, cases=[True, False])
