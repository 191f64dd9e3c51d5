"""References, forgotten endpoints, and views from outside (CH-7)."""

import asyncio
import gc
import re
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from settling import ended, settle

from aioservicekit import Channel, ChannelClosedError, ChannelState, ChannelStatistics, SubscriberStatistics


class Message:
    """Something that can be weakly referenced."""


@contextmanager
def join_new_threads() -> Iterator[None]:
    """At the end, wait for the threads that were started inside."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()


async def test_channel_forgets_closed_endpoints() -> None:
    """A channel holds no reference to an endpoint that has closed, waiting operations included (CH-7.1)."""
    async with Channel[int](1) as channel, await channel.connect() as kept, await channel.subscribe() as full:
        publisher, subscriber = await channel.connect(), await channel.subscribe(buffer_size=0)
        await kept.send(1)
        await subscriber.read()
        waiting: list[asyncio.Task[Any]] = [
            asyncio.ensure_future(publisher.send(2)),
            asyncio.ensure_future(subscriber.read()),
        ]
        await settle()
        await publisher.close()
        await subscriber.close()
        await ended(asyncio.gather(*waiting, return_exceptions=True))
        references: list[weakref.ref[Any]] = [weakref.ref(publisher), weakref.ref(subscriber)]
        waiting.clear()
        del publisher, subscriber
        await settle()
        gc.collect()
        assert [reference() for reference in references] == [None, None]
        assert await full.read() == 1


async def test_channel_forgets_messages_that_were_read() -> None:
    """A channel holds no reference to a message that everybody has read, or that nobody will read (CH-7.1)."""
    async with Channel[Message](1) as channel, await channel.connect() as publisher, await channel.subscribe() as one:
        other = await channel.subscribe()
        message = Message()
        reference = weakref.ref(message)
        await publisher.send(message)
        del message
        await one.read()
        await other.close()
        assert reference() is not None
        del other
        gc.collect()
        assert reference() is None


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_channel_forgets_the_message_of_a_failed_send(how: str) -> None:
    """A channel holds no reference to a message whose send was cancelled or failed (CH-7.1)."""
    async with Channel[Message](1) as channel, await channel.connect(), await channel.subscribe() as subscriber:
        publisher = await channel.connect()
        await publisher.send(Message())
        message = Message()
        reference = weakref.ref(message)
        sending = asyncio.ensure_future(publisher.send(message))
        del message
        await settle()
        if how == "cancel":
            sending.cancel()
        await publisher.close()
        await asyncio.wait([sending])
        assert isinstance(sending.exception() if how == "close" else None, ChannelClosedError | None)
        del sending
        await settle()
        gc.collect()
        assert reference() is None
        assert subscriber is not None


@pytest.mark.parametrize("kind", ["publisher", "subscriber"])
async def test_forgotten_endpoint_is_closed_with_a_warning(kind: str) -> None:
    """An endpoint that is garbage-collected while connected is closed, with a warning that names it (CH-7.2)."""
    async with Channel[int](1) as channel, await channel.connect() as kept, await channel.subscribe() as subscriber:
        endpoint: Any = await (channel.connect() if kind == "publisher" else channel.subscribe())
        name = re.escape(f"{kind} at {id(endpoint):#x}")
        before = channel.statistics()
        with pytest.warns(ResourceWarning, match=f"{name}.* was forgotten while connected") as warned:
            del endpoint
        assert warned[0].filename == __file__
        warned.clear()
        after = channel.statistics()
        assert (after.publishers, len(after.subscribers)) == (
            (before.publishers - 1, 1) if kind == "publisher" else (before.publishers, 1)
        )
        await kept.send(1)
        assert await subscriber.read() == 1


async def test_forgotten_full_subscriber_stops_nobody() -> None:
    """Forgetting a full subscriber lifts its back-pressure (CH-7.2, CH-5.3)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as kept:
        forgotten = await channel.subscribe(buffer_size=1)
        await publisher.send(1)
        sending = asyncio.ensure_future(publisher.send(2))
        await settle()
        assert not sending.done()
        with pytest.warns(ResourceWarning, match="1 of 1 messages buffered"):
            del forgotten
        await ended(sending)
        assert [await kept.read(), await kept.read()] == [1, 2]


async def test_last_forgotten_endpoint_closes_the_channel() -> None:
    """Forgetting the last publisher closes an open channel, as closing it would (CH-1.3, CH-7.2)."""
    channel = Channel[int]()
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    reading = asyncio.ensure_future(subscriber.read())
    await settle()
    with pytest.warns(ResourceWarning, match="publisher at"):
        del publisher
    with pytest.raises(ChannelClosedError):
        await ended(reading)
    assert channel.state is ChannelState.closed


@pytest.mark.parametrize("kind", ["publisher", "subscriber"])
async def test_closed_endpoint_is_forgotten_in_silence(kind: str) -> None:
    """An endpoint that was closed, directly or with its channel, is collected without a warning (CH-7.2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with Channel[int]() as channel, await channel.connect(), await channel.subscribe():
            endpoint: Any = await (channel.connect() if kind == "publisher" else channel.subscribe())
            await endpoint.close()
            del endpoint
            endpoint = await (channel.connect() if kind == "publisher" else channel.subscribe())
            await channel.close()
            del endpoint


async def test_forgotten_endpoint_is_closed_though_the_warning_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if warnings are errors, a forgotten endpoint is closed (CH-7.2)."""
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hooked: unraisable.append(type(hooked.exc_value)))
    async with Channel[int]() as channel:
        subscriber = await channel.subscribe()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del subscriber
        assert channel.statistics().subscribers == ()
    assert unraisable == [ResourceWarning]


async def test_finalizer_runs_in_the_thread_that_holds_the_lock() -> None:
    """If the garbage collector strikes amid a state change, the endpoint is closed after that change (CH-7.2)."""
    async with Channel[int]() as channel:
        subscriber = await channel.subscribe()
        with join_new_threads(), warnings.catch_warnings(record=True) as warned, channel._core.lock:
            warnings.simplefilter("always")
            del subscriber
            assert len(channel._core.buffers) == 1
        assert [warning.category for warning in warned] == [ResourceWarning]
        assert channel.statistics().subscribers == ()


async def test_forgotten_operation_leaves_the_line() -> None:
    """A send whose coroutine is dropped while it waits leaves the line, even amid a state change (CH-3.8, CH-7.2)."""
    async with (
        Channel[int](1) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        await publisher.send(0)
        dropped, dropped_under_lock = publisher.send(1), publisher.send(2)
        dropped.send(None)
        dropped_under_lock.send(None)
        sending = asyncio.ensure_future(publisher.send(3))
        await settle()
        assert channel.statistics().sends_waiting == 3
        del dropped
        with join_new_threads(), channel._core.lock:
            del dropped_under_lock
        assert await subscriber.read() == 0
        await ended(sending)
        assert await subscriber.read() == 3
        assert channel.statistics().sends_waiting == 0


async def test_message_of_a_forgotten_read_goes_to_the_next() -> None:
    """A read whose coroutine is dropped after it was handed a message passes it to the next read (CH-4.5, CH-7.2)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        dropped = subscriber.read()
        dropped.send(None)
        reading = asyncio.ensure_future(subscriber.read())
        await settle()
        await publisher.send(1)
        del dropped
        assert await ended(reading) == 1
        dropped = subscriber.read()
        dropped.send(None)
        await publisher.send(2)
        del dropped
        assert await subscriber.read() == 2


def test_forgotten_with_no_loop_running() -> None:
    """A forgotten endpoint is closed even without an event loop, and wakes waiting tasks on their loops (CH-6.2, CH-7.2)."""
    loop = asyncio.new_event_loop()
    channel = Channel[int](1)
    publisher = loop.run_until_complete(channel.connect())
    subscriber = loop.run_until_complete(channel.subscribe())
    kept = loop.run_until_complete(channel.subscribe(buffer_size=0))
    loop.run_until_complete(publisher.send(1))
    sending = loop.create_task(publisher.send(2))
    loop.run_until_complete(settle())
    assert not sending.done()
    with pytest.warns(ResourceWarning, match="1 of 1"):
        del subscriber
    loop.run_until_complete(sending)
    assert loop.run_until_complete(kept.read()) == 1
    loop.run_until_complete(channel.close())
    loop.close()


def test_global_endpoints_are_silent_at_exit() -> None:
    """Endpoints left open at the end of the interpreter print nothing, unless resource warnings are on (CH-7.2)."""
    program = (
        "import asyncio, aioservicekit\n"
        "channel = aioservicekit.Channel()\n"
        "publisher, subscriber = asyncio.run(channel.connect()), asyncio.run(channel.subscribe())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr == ""


async def test_statistics_tell_who_waits_for_whom() -> None:
    """`statistics()` and `repr()` show state, endpoints, buffers and waiting operations (CH-7.3)."""
    async with Channel[int](1) as channel:
        assert channel.statistics() == ChannelStatistics(ChannelState.initiation, 0, (), 0)
        assert repr(channel) == "<Channel initiation: 0 publishers, 0 subscribers (0 full), 0 sends waiting>"
        async with await channel.connect() as publisher, await channel.subscribe() as full:
            idle = await channel.subscribe(buffer_size=0)
            await publisher.send(1)
            await idle.read()
            tasks: list[asyncio.Task[Any]] = [
                asyncio.ensure_future(publisher.send(2)),
                asyncio.ensure_future(publisher.send(3)),
                asyncio.ensure_future(idle.read()),
            ]
            await settle()
            assert channel.statistics() == ChannelStatistics(
                state=ChannelState.open,
                publishers=1,
                subscribers=(
                    SubscriberStatistics(buffered=1, buffer_size=1, reads_waiting=0),
                    SubscriberStatistics(buffered=0, buffer_size=0, reads_waiting=1),
                ),
                sends_waiting=2,
            )
            assert repr(channel) == "<Channel open: 1 publishers, 2 subscribers (1 full), 2 sends waiting>"
            assert re.fullmatch(
                r"<subscriber at 0x\w+, connected: 1 of 1 messages buffered, 0 reads waiting>", repr(full)
            )
            assert re.fullmatch(
                r"<subscriber at 0x\w+, connected: 0 of unbounded messages buffered, 1 reads waiting>", repr(idle)
            )
            assert re.fullmatch(r"<publisher at 0x\w+, connected, of <Channel open: .*>>", repr(publisher))
        outcomes = await ended(asyncio.gather(*tasks, return_exceptions=True))
        assert outcomes == [None, None, 2]
        assert repr(channel) == "<Channel closed: 0 publishers, 0 subscribers (0 full), 0 sends waiting>"
        assert "closed" in repr(publisher)
        assert "closed: 1 of 1" in repr(full)
