"""Named checks of CH-3.9 and CH-4.8: what happens to a request to cancel that comes after an operation has had its effect.

An operation that raises `CancelledError` without any effect keeps these rules too.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from ..target import Target
from .check import Broken, Check, check, expect, run, started, turn

Step = Callable[[], Coroutine[Any, Any, object]]
MANY = 50  # turns of the loop, after which a task has heard of a request if it ever will
TURNS = range(8)  # turns of the loop, between the call that lets the operation go on and the request


class Scene(NamedTuple):
    """An operation that would wait, and what lets it go on."""

    operation: Step
    let_go: Step
    others: object


async def _scene(target: Target, kind: str) -> Scene:
    channel = target.channel(1)
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    if kind == "read":
        return Scene(subscriber.read, lambda: publisher.send(1), channel)
    await publisher.send(1)
    return Scene(lambda: publisher.send(2), subscriber.read, channel)


async def _undisturbed(target: Target, kind: str) -> bool:
    scene = await _scene(target, kind)
    operation = asyncio.ensure_future(scene.operation())
    await turn(5)
    if operation.done():
        return False
    await scene.let_go()
    await operation
    return True


async def _asked_to_cancel(
    target: Target, kind: str, turns: int, requests: tuple[str | None, ...], *, again: bool = False
) -> str:
    """The outcome of a task that is asked to cancel, with these messages, when its operation can go on.

    Args:
        again: the same has happened before, and that request has been withdrawn.
    """
    scene = await _scene(target, kind)
    requested = False

    async def use() -> str:
        try:
            if again:
                await scene.operation()
                task.uncancel()
            await scene.operation()
        except asyncio.CancelledError:
            return GAVE_UP
        in_time = requested
        try:
            await asyncio.sleep(0)
            if in_time:
                return "the task goes on"
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            asked = task.cancelling()
            return (
                RAISED
                if asked == len(requests)
                else f"its next suspension raises CancelledError, with {asked} requests"
            )
        return ""

    task = asyncio.ensure_future(use())
    await turn(5)
    if again:
        first = asyncio.ensure_future(scene.let_go())
        await turn(turns)
        task.cancel()
        await turn(5)
        first.cancel()
    letting = asyncio.ensure_future(scene.let_go())
    await turn(turns)
    requested = True
    for message in requests:
        task.cancel(message)
    seen = await task
    letting.cancel()
    return seen


async def _timed_out(target: Target, kind: str, turns: int, before: int) -> str:
    """The outcome of a task whose time is up when its operation can go on.

    Args:
        before: the number of requests to cancel that the task has had and caught, as in a clean-up.
    """
    scene = await _scene(target, kind)
    timeouts: list[asyncio.Timeout] = []

    async def use() -> str:
        for _ in range(before):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                pass
        try:
            async with asyncio.timeout(None) as timeout:
                timeouts.append(timeout)
                await scene.operation()
        except TimeoutError:
            return GAVE_UP
        try:
            await turn(5)
        except asyncio.CancelledError:
            return "the task's next suspension after the block raises CancelledError"
        task = asyncio.current_task()
        counted = task and task.cancelling() == before
        return WENT_ON if counted else "the task goes on with a request that nobody withdraws"

    task = asyncio.ensure_future(use())
    for _ in range(before):
        await turn(5)
        task.cancel()
    await turn(5)
    letting = asyncio.ensure_future(scene.let_go())
    await turn(turns)
    if not task.done():
        try:
            timeouts[0].reschedule(0)
        except RuntimeError:  # the block has been left
            pass
    seen = await task
    letting.cancel()
    return seen


async def _asked_twice(target: Target, kind: str, turns: int) -> str:
    """The outcome of a task that is asked to cancel, and whose time is up as well, when its operation can go on."""
    scene = await _scene(target, kind)
    timeouts: list[asyncio.Timeout] = []
    returned = in_time = False

    async def use() -> str:
        nonlocal returned
        try:
            async with asyncio.timeout(None) as timeout:
                timeouts.append(timeout)
                await scene.operation()
                returned = True
        except (TimeoutError, asyncio.CancelledError):
            return GAVE_UP
        try:
            await turn(5)
        except asyncio.CancelledError:
            return RAISED
        return WENT_ON

    task = asyncio.ensure_future(use())
    await turn(5)
    letting = asyncio.ensure_future(scene.let_go())
    await turn(turns)
    if not returned and not task.done():
        timeouts[0].reschedule(0)
        await asyncio.sleep(0)
        in_time = not returned  # both requests have come before the operation ended
        task.cancel()
    seen = await task
    letting.cancel()
    return seen if returned and in_time else GAVE_UP


async def _keeping_pace(target: Target, kind: str) -> str | None:
    """The outcome of a task that is asked to cancel while everything that it waits for comes at once, again and again."""
    channel = target.channel(1)
    publisher, subscriber = await channel.connect(), await channel.subscribe()

    async def again_and_again(operation: Step, turns: int) -> None:
        for _ in range(10 * MANY):  # one that never suspends would go on for ever
            await operation()
            await turn(turns)

    async def send() -> None:
        await publisher.send(1)

    mine, other = (send, subscriber.read) if kind == "send" else (subscriber.read, send)
    task = asyncio.ensure_future(again_and_again(mine, 0))
    pace = asyncio.ensure_future(again_and_again(other, 1))
    await turn(5)
    task.cancel()
    await turn(MANY)
    ended = task.done()
    pace.cancel()
    await turn(5)
    await channel.close()
    await asyncio.wait([task, pace])
    if ended and not task.cancelled():
        return None  # it was never asked, or fails: whichever rule that breaks, it is another one
    return "the task ends" if ended else "the task goes on"


async def _in_a_group(target: Target, kind: str) -> str:
    """The outcome of a group in which one task fails just as the operation of another can go on."""
    scene = await _scene(target, kind)
    go: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def use() -> None:
        await scene.operation()
        await asyncio.get_running_loop().create_future()

    async def fail() -> None:
        await go
        raise _Failing

    async def let_go() -> None:
        await go
        await scene.let_go()

    try:
        async with asyncio.TaskGroup() as group:
            for each in (use, fail, let_go):
                group.create_task(each())
            await turn(5)
            go.set_result(None)
    except* _Failing:
        pass
    return "the group ends"


class _Failing(Exception):
    pass


REQUESTS: dict[tuple[str | None, ...], str] = {(None,): "", (None, None): " twice", ("why",): " with a message"}
GAVE_UP = "it gives up"
RAISED = "the task's next suspension raises CancelledError, once"
WENT_ON = "the task goes on"


def _requests(obligation: str, kind: str) -> tuple[Check, ...]:
    @check(obligation)
    def a_request_that_comes_too_late_is_not_lost(target: Target) -> None:
        if started(lambda: _undisturbed(target, kind)):
            for (requests, how), turns in product(REQUESTS.items(), TURNS):
                seen = run(partial(_asked_to_cancel, target, kind, turns, requests))
                if seen != GAVE_UP:
                    expect(RAISED, seen, f"a {kind} that has had its effect when its task is asked to cancel{how}")

    @check(obligation)
    def a_request_after_one_that_was_withdrawn_is_not_lost(target: Target) -> None:
        if started(lambda: _undisturbed(target, kind)):
            for turns in TURNS:
                seen = run(partial(_asked_to_cancel, target, kind, turns, (None,), again=True))
                if seen != GAVE_UP:
                    how = ", after the same with a request that was withdrawn"
                    expect(RAISED, seen, f"a {kind} that has had its effect when its task is asked to cancel{how}")

    @check(obligation)
    def a_request_that_a_time_out_withdraws_is_gone(target: Target) -> None:
        if started(lambda: _undisturbed(target, kind)):
            for before in (0, 1):
                for turns in TURNS:
                    seen = run(lambda turns=turns, before=before: _timed_out(target, kind, turns, before))  # type: ignore[misc]
                    if seen != GAVE_UP:
                        where = ", in a task that had been asked to cancel before" if before else ""
                        expect(
                            WENT_ON, seen, f"a {kind} that has had its effect when its asyncio.timeout expires{where}"
                        )

    @check(obligation)
    def one_of_two_requests_is_withdrawn(target: Target) -> None:
        if started(lambda: _undisturbed(target, kind)):
            for turns in TURNS:
                seen = run(lambda turns=turns: _asked_twice(target, kind, turns))  # type: ignore[misc]
                if seen != GAVE_UP:
                    expect(
                        RAISED, seen, f"a {kind} whose task is asked to cancel just when its asyncio.timeout expires"
                    )

    @check(obligation)
    def a_task_ends_though_each_of_its_operations_is_completed(target: Target) -> None:
        seen = started(lambda: _keeping_pace(target, kind)) if started(lambda: _undisturbed(target, kind)) else None
        if seen is not None:
            expect(
                "the task ends",
                seen,
                f"a task that is asked to cancel while one {kind} after another goes on at once",
            )

    @check(obligation)
    def a_task_of_a_group_ends(target: Target) -> None:
        if started(lambda: _undisturbed(target, kind)) and started(lambda: _in_a_group(target, kind)) is None:
            raise Broken(
                f"a TaskGroup ends, one task of which was in a {kind} when another failed", "it waits for ever"
            )

    return (
        a_request_that_comes_too_late_is_not_lost,
        a_request_after_one_that_was_withdrawn_is_not_lost,
        a_request_that_a_time_out_withdraws_is_gone,
        one_of_two_requests_is_withdrawn,
        a_task_ends_though_each_of_its_operations_is_completed,
        a_task_of_a_group_ends,
    )


CHECKS = (*_requests("CH-3.9b", "send"), *_requests("CH-4.8b", "read"))
