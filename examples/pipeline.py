"""Dependencies and draining: a producer and its consumers lose no order.

The intake depends on the kitchen and the ledger: they start before it, and stop after it. The intake stops after thirty
orders, or earlier by Ctrl+C. Then its publisher closes, which closes the channel, and the other two drain what is left.
"""

import asyncio

from aioservicekit import Channel, Service, main, run_services

orders = Channel[int](buffer_size=4)


class Consumer(Service):
    """What the kitchen and the ledger have in common: both handle every order."""

    seconds = 0.0

    async def __on_start__(self) -> None:
        self.handled: list[int] = []
        self.subscriber = await orders.subscribe()

    async def __work__(self) -> None:
        async for order in self.subscriber:
            await asyncio.sleep(self.seconds)
            self.handled.append(order)
        await asyncio.sleep(0.01)  # the channel is closed, but nobody has stopped this service yet

    async def __on_stop__(self) -> None:
        await self.subscriber.close()


class Kitchen(Consumer):
    seconds = 0.02  # slower than orders come: back-pressure makes the intake wait


class Ledger(Consumer):
    pass


class Intake(Service):
    taken = 0

    async def __on_start__(self) -> None:
        self.publisher = await orders.connect()

    async def __work__(self) -> None:
        await asyncio.sleep(0.005)
        await self.publisher.send(self.taken)
        self.taken += 1
        if self.taken == 30:
            self.stop()

    async def __on_stop__(self) -> None:
        await self.publisher.close()


@main
async def application() -> None:
    kitchen, ledger = Kitchen(), Ledger()
    intake = Intake(dependences=[kitchen, ledger])
    async with run_services([intake]):  # starts the other two as well
        await intake.wait()
    print(f"{intake.taken} taken, {len(kitchen.handled)} cooked, {len(ledger.handled)} booked")


if __name__ == "__main__":
    asyncio.run(application())
