"""What users of channels write, and what must be a type error; type checkers read this file, and nothing runs it.

If an error disappears, its `type: ignore` is unused, which mypy and pyright report.
"""

from typing import assert_type

from aioservicekit import (
    Channel,
    ChannelState,
    ChannelStatistics,
    Publisher,
    Subscriber,
    SubscriberStatistics,
)


class Animal:
    """The base of the following two."""


class Cat(Animal):
    """An animal."""


class Dog(Animal):
    """Another one."""


# Channels (CH-1, CH-2)

at_module_level = Channel[int]()
annotated: Channel[str] = Channel(buffer_size=5, name="prices")

Channel[int]("5")  # type: ignore[arg-type]
Channel[int](buffer_size=None)  # type: ignore[arg-type]
Channel[int](name=5)  # type: ignore[arg-type]


async def uses_a_channel() -> None:
    async with Channel[int](5) as channel:
        assert_type(channel, Channel[int])
        assert_type(channel.state, ChannelState)
        assert_type(channel.statistics(), ChannelStatistics)
        assert_type(channel.statistics().subscribers, tuple[SubscriberStatistics, ...])

        subscriber = await channel.subscribe(buffer_size=0, name="log")
        publisher = await channel.connect()
        assert_type(subscriber, Subscriber[int])
        assert_type(publisher, Publisher[int])

        assert_type(await publisher.send(3), None)
        assert_type(await subscriber.read(), int)
        async for message in subscriber:
            assert_type(message, int)
        async with subscriber as the_same, publisher as the_same_too:
            assert_type(the_same, Subscriber[int])
            assert_type(the_same_too, Publisher[int])
        assert_type(await channel.close(), None)

        channel.state = ChannelState.closed  # type: ignore[misc]
        await channel.subscribe(3)  # type: ignore[call-arg]
        await channel.subscribe(buffer_size="3")  # type: ignore[arg-type]
        await publisher.send("three")  # type: ignore[arg-type]
        await publisher.send()  # type: ignore[call-arg]
        await subscriber.read(3)  # type: ignore[call-arg]
        for _ in subscriber:  # type: ignore[attr-defined]
            pass
        with channel:  # type: ignore[attr-defined]
            pass


# A reader of animals accepts a reader of cats, and a sender of cats accepts a sender of animals; a channel is invariant.


async def pets(subscriber: Subscriber[Animal]) -> Animal:
    return await subscriber.read()


async def breeds(publisher: Publisher[Cat]) -> None:
    await publisher.send(Cat())


async def connects(channel: Channel[Animal]) -> None:
    await (await channel.connect()).send(Dog())


async def uses_the_ends(animals: Channel[Animal], cats: Channel[Cat], dogs: Channel[Dog]) -> None:
    await pets(await animals.subscribe())
    await pets(await cats.subscribe())
    await breeds(await cats.connect())
    await breeds(await animals.connect())
    await connects(animals)

    await pets(await Channel[str]().subscribe())  # type: ignore[arg-type]
    await breeds(await dogs.connect())  # type: ignore[arg-type]
    await connects(cats)  # type: ignore[arg-type]

    read: Subscriber[Cat] = await animals.subscribe()  # type: ignore[assignment]
    sent: Publisher[Animal] = await cats.connect()  # type: ignore[assignment]
    await read.close()
    await sent.close()
