"""Requests to cancel that come after an operation was completed (CH-3.9, CH-4.8)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple

import pytest
from settling import begin, ended, settle

from aioservicekit import Channel, Publisher, Subscriber


class Scene(NamedTuple):
    """A channel, and an operation on it that waits.

    Attributes:
        operation: makes its coroutine.
        complete: does what it waits for.
        result: what it returns then.
    """

    channel: Channel[str]
    publisher: Publisher[str]
    subscriber: Subscriber[str]
    operation: Callable[[], Coroutine[Any, Any, str | None]]
    complete: Callable[[], Coroutine[Any, Any, object]]
    result: str | None


@pytest.fixture(params=["send", "read"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """Each test runs for a send that waits for room, and for a read that waits for a message."""
    async with Channel[str](1) as channel:
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        if request.param == "send":
            await publisher.send("first")
            yield Scene(channel, publisher, subscriber, lambda: publisher.send("second"), subscriber.read, None)
        else:
            yield Scene(channel, publisher, subscriber, subscriber.read, lambda: publisher.send("only"), "only")


async def complete_and(scene: Scene, cancel: Callable[[], object]) -> None:
    """Complete the operation, and cancel its task before it runs."""
    await scene.complete()
    cancel()


async def test_it_returns_and_its_task_is_cancelled_at_the_next_suspension(scene: Scene) -> None:
    """The outcome is returned, and the request returns with its text when the task next suspends (CH-3.9, CH-4.8)."""
    steps: list[object] = []

    async def use() -> None:
        steps.append(await scene.operation())
        task = asyncio.current_task()
        assert task is not None
        steps.append(task.cancelling())
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            steps.append(error.args)
            steps.append(task.cancelling())
            raise

    task = await begin(use())
    await complete_and(scene, lambda: task.cancel("enough"))
    await settle()
    assert steps == [scene.result, 1, ("enough",), 1]
    assert task.cancelled()


async def test_a_task_that_ends_with_the_operation_ends_with_its_outcome(scene: Scene) -> None:
    """Without a next suspension, the task has its result, and is not cancelled (CH-3.9, CH-4.8)."""
    task = asyncio.ensure_future(scene.operation())
    await settle()
    await complete_and(scene, task.cancel)
    assert await ended(task) == scene.result


async def test_a_time_out_withdraws_its_own_request(scene: Scene) -> None:
    """A time-out that expires as the operation is completed cancels nothing, then or later (CH-3.9, CH-4.8)."""
    steps: list[object] = []

    async def use() -> None:
        async with asyncio.timeout(None) as timeout:
            timeouts.append(timeout)
            steps.append(await scene.operation())
        for _ in range(5):
            await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        steps.append(task.cancelling())

    timeouts: list[asyncio.Timeout] = []
    task = await begin(use())
    timeouts[0].reschedule(0)  # it expires in the next turn of the loop, before the task runs
    await scene.complete()
    await ended(task)
    assert steps == [scene.result, 0]


async def test_nested_time_outs_withdraw_both_requests(scene: Scene) -> None:
    """Two time-outs that expire at once withdraw both of their requests (CH-3.9, CH-4.8)."""
    timeouts: list[asyncio.Timeout] = []

    async def use() -> str | None:
        async with asyncio.timeout(None) as outer, asyncio.timeout(None) as inner:
            timeouts.extend([outer, inner])
            result = await scene.operation()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return result

    task = await begin(use())
    for timeout in timeouts:
        timeout.reschedule(0)
    await scene.complete()
    assert await ended(task) == scene.result


async def test_one_of_two_requests_is_withdrawn(scene: Scene) -> None:
    """A time-out withdraws only its own request: another one still cancels the task (CH-3.9, CH-4.8)."""
    timeouts: list[asyncio.Timeout] = []
    steps: list[object] = []

    async def use() -> None:
        async with asyncio.timeout(None) as timeout:
            timeouts.append(timeout)
            steps.append(await scene.operation())
        steps.append("left")
        await asyncio.sleep(0)
        steps.append("not cancelled")

    task = await begin(use())
    timeouts[0].reschedule(0)
    await scene.complete()
    task.cancel()
    await settle()
    assert steps == [scene.result, "left"]
    assert task.cancelled()


async def test_a_request_of_before_is_not_made_again(scene: Scene) -> None:
    """In a clean-up that follows a cancellation, only requests made during the operation come back (CH-3.9)."""
    timeouts: list[asyncio.Timeout] = []
    steps: list[object] = []

    async def use() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            async with asyncio.timeout(None) as timeout:
                timeouts.append(timeout)
                steps.append(await scene.operation())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            steps.append("cleaned up")

    task = await begin(use())
    task.cancel()
    await settle()
    timeouts[0].reschedule(0)
    await scene.complete()
    await settle()
    assert steps == [scene.result, "cleaned up"]
    assert task.cancelled()


@pytest.mark.parametrize("side", ["consumer", "producer"])
async def test_a_cancelled_task_ends_though_each_of_its_operations_is_completed(side: str) -> None:
    """The request is repeated as soon as the task waits, however fast the other side completes what follows (CH-3.9)."""
    async with (
        Channel[int](1) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):

        async def consume() -> None:
            while True:
                await subscriber.read()
                if side == "producer":
                    await asyncio.sleep(0)

        async def produce() -> None:
            while True:
                await publisher.send(1)
                if side == "consumer":
                    await asyncio.sleep(0)

        tasks = {"consumer": asyncio.ensure_future(consume()), "producer": asyncio.ensure_future(produce())}
        await settle()
        tasks[side].cancel()
        await settle()
        assert tasks[side].cancelled()
        for task in tasks.values():
            task.cancel()
        await settle()


async def test_a_request_that_is_owed_cancels_the_operation_that_waits_next() -> None:
    """The next operation takes nothing: what it would have got is there for others (CH-4.5, CH-4.8)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        read: list[int] = []

        async def use() -> None:
            while True:
                read.append(await subscriber.read())

        task = await begin(use())
        await publisher.send(0)
        task.cancel()
        await asyncio.gather(publisher.send(1), settle())
        assert task.cancelled()
        assert read == [0]
        assert await subscriber.read() == 1


async def test_a_request_that_is_owed_survives_a_time_out_around_the_next_operation() -> None:
    """A read that follows, inside a time-out that expires at once, is cancelled and takes nothing (CH-4.8)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        read: list[int] = []

        async def use() -> None:
            read.append(await subscriber.read())
            async with asyncio.timeout(0):
                read.append(await subscriber.read())

        task = await begin(use())
        await publisher.send(0)
        task.cancel()
        await asyncio.gather(asyncio.sleep(0), publisher.send(1))
        await settle()
        assert task.done()
        assert task.cancelled() or isinstance(task.exception(), TimeoutError)
        assert read == [0]


async def test_wait_for_returns_what_has_arrived(scene: Scene) -> None:
    """If the caller of `asyncio.wait_for` is cancelled, no message is lost: the operation has its outcome (CH-4.8)."""
    inner: list[asyncio.Task[str | None]] = []

    async def use() -> None:
        inner.append(asyncio.ensure_future(scene.operation()))
        await asyncio.wait_for(inner[0], None)

    task = await begin(use())
    await complete_and(scene, task.cancel)
    await settle()
    assert task.done()
    assert await ended(inner[0]) == scene.result


async def test_a_consumer_in_a_task_group_ends(scene: Scene) -> None:
    """If a task group cancels an operation that has just been completed, the consumer's task still ends (CH-3.9, CH-4.8)."""
    fail = asyncio.Event()
    steps: list[object] = []

    async def failing() -> None:
        await fail.wait()
        raise ValueError

    async def consuming() -> None:
        while True:
            steps.append(await scene.operation())

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(consuming())
            tasks.create_task(failing())

    task = await begin(group())
    fail.set()
    asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(scene.complete()))
    with pytest.raises(ExceptionGroup):
        await ended(task)
    assert steps in ([], [scene.result])


async def test_a_completed_operation_outside_any_task(scene: Scene) -> None:
    """A coroutine that is driven by hand has no task to cancel: it just returns the outcome (CH-3.9)."""
    operation = scene.operation()
    asyncio.get_running_loop().call_soon(operation.send, None)
    await settle()
    await scene.complete()
    with pytest.raises(StopIteration) as ended_with:
        operation.throw(asyncio.CancelledError())
    assert ended_with.value.value == scene.result
