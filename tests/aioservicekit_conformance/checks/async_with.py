"""Named checks of CH-5.4, and one of CH-4.2: a block closes its endpoint, however it ends, and loses nothing that is unread."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple

from ..target import Target
from .check import Broken, Check, check, expect, outcome, run, started, state_of, turn


class _Passing(Exception):
    """Raised in a block, and should pass through unchanged."""


class _Leaving(BaseException):
    """The same, and no `Exception`."""


ERRORS = {
    "by an error": _Passing,
    "by a CancelledError": asyncio.CancelledError,
    "by a GeneratorExit": GeneratorExit,
    "by a StopIteration": StopIteration,
    "by a StopAsyncIteration": StopAsyncIteration,
    "by a KeyboardInterrupt": KeyboardInterrupt,
    "by a SystemExit": SystemExit,
    "by a BaseException of its own": _Leaving,
}
CLOSED_ERROR = "by the target's own ChannelClosedError"
CANCELLED = "by the cancellation of its task"
REQUESTED = "as its task is asked to cancel"
BY_HAND = {REQUESTED: "by hand, as its task is asked to cancel"}  # what another way to end is compared with: "by hand"
WAYS = ("normally", *ERRORS, CLOSED_ERROR, CANCELLED, REQUESTED)
CLOSED, WITH_CHANNEL = " after it was closed inside", " after the channel was closed inside"
UNREAD, CLOSED_UNREAD = " with a message unread", " after it was closed inside with a message unread"
WAITING, LAST = " while a send waits for room", " while nobody else has joined its side"
MEANWHILE = ("", CLOSED, WITH_CHANNEL, UNREAD, CLOSED_UNREAD, WAITING, LAST)
LATE = 5  # turns of the loop: by then a close() that is late, which is for another check, has taken effect


class Left(NamedTuple):
    """How a block ended, or a close() instead of it, and what can be done afterwards."""

    how: str
    after: str


async def _own_closed_error(target: Target) -> BaseException | None:
    """An error that the target itself has raised, since only the target knows how to make one."""
    channel = target.channel(0)
    await channel.close()
    try:
        await channel.connect()
    except target.closed_error as error:
        return error
    return None


def _ended_with(raised: BaseException, error: BaseException | None, before: object) -> str:
    if raised is not error:
        return f"with {raised!r}"
    return "with the same error" if _parts(raised) == before else "with the same error, changed"


def _parts(error: BaseException | None) -> object:
    return error and (error.args, getattr(error, "__notes__", ()), error.__cause__)


async def _leave(target: Target, what: str, way: str, meanwhile: str, turns: int, error: BaseException | None) -> Left:
    """Leave a block in one of the ways, and look some turns later; those by hand close without a block."""
    channel = target.channel(0)
    publisher, subscriber = (
        await channel.connect(),
        await channel.subscribe(buffer_size=1 if meanwhile == WAITING else 0),
    )
    others = () if meanwhile == LAST else (await channel.connect(), await channel.subscribe())
    waiting: list[asyncio.Future[object]] = []
    closing = {"channel": channel, "publisher": publisher, "subscriber": subscriber}[what]
    before = _parts(error)
    inside: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def do_meanwhile() -> None:
        if meanwhile in (UNREAD, CLOSED_UNREAD, WAITING):
            await publisher.send(0)
        if meanwhile in (CLOSED, CLOSED_UNREAD, WITH_CHANNEL):
            await (channel if meanwhile == WITH_CHANNEL else closing).close()
        if meanwhile in (WAITING, LAST):
            waiting.append(asyncio.ensure_future(publisher.send(1) if meanwhile == WAITING else subscriber.read()))
            await asyncio.sleep(0)

    async def close_when_asked_to_cancel() -> None:
        await do_meanwhile()
        if task := asyncio.current_task():
            task.cancel()
        await closing.close()

    how = "normally"

    async def block() -> None:
        nonlocal how
        try:
            async with closing as entered:
                if not hasattr(entered, "close"):
                    raise Broken(f"async with to yield the {what}", f"a {type(entered).__name__}")
                await do_meanwhile()
                if error is not None:
                    raise error
                inside.set_result(None)
                if way == CANCELLED:
                    await asyncio.get_running_loop().create_future()
                if way == REQUESTED and (task := asyncio.current_task()):
                    task.cancel()
        except StopIteration as raised:  # no coroutine can raise one
            how = _ended_with(raised, error, before)

    try:
        if way == "by hand":
            await do_meanwhile()
            await closing.close()
        elif way == BY_HAND[REQUESTED]:  # it may raise CancelledError (CH-5.1)
            (task,) = (await asyncio.wait([asyncio.ensure_future(close_when_asked_to_cancel())]))[0]
            how = "normally" if task.cancelled() or task.exception() is None else f"with {task.exception()!r}"
        elif way == REQUESTED:  # it raises CancelledError if its end suspends its task
            (task,) = (await asyncio.wait([asyncio.ensure_future(block())]))[0]
            fine = task.cancelled() or task.exception() is None
            how = "in either way" if fine else f"with {task.exception()!r}"
        elif way == CANCELLED:
            task = asyncio.ensure_future(block())
            await asyncio.wait([task, inside], return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            await asyncio.wait([task])
            how = "with its CancelledError" if task.cancelled() else f"with {task.exception()!r}"
        else:
            await block()
    except Broken:
        raise
    except BaseException as raised:
        how = _ended_with(raised, error, before)
    await turn(turns)
    state = state_of(target, channel)
    waited = [await outcome(operation) for operation in waiting]
    sent = await outcome(publisher.send(1))
    if meanwhile in (UNREAD, CLOSED_UNREAD, WAITING):
        await outcome(subscriber.read())  # closed or not, it has this message
    found = await outcome(subscriber.read()) if what == "subscriber" or state == "closed" else ""
    joined = (await outcome(channel.connect())).split()[-1]
    assert others is not None  # until here: an endpoint to which nothing refers is closed
    return Left(how, f"channel {state}, send {sent}, read {found}, connect {joined}, what waited {', '.join(waited)}")


def _closed(target: Target, what: str, meanwhile: str) -> str:
    """What can be done after a sound close(): a block that has this effect closes, even where the target's close() does not."""
    what = "channel" if meanwhile in (WITH_CHANNEL, LAST) else what
    state, error = ("closed" if what == "channel" else "open"), f"{target.closed_error.__name__} raised"
    sent = "None returned" if what == "subscriber" else error
    found = "" if what == "publisher" else error
    joined = "raised" if what == "channel" else "returned"
    waited = {WAITING: sent, LAST: error}.get(meanwhile, "")
    return f"channel {state}, send {sent}, read {found}, connect {joined}, what waited {waited}"


def _by_hand(target: Target, what: str, way: str, meanwhile: str) -> tuple[Left | None, int]:
    """How close() ends, if it ends, and the number of turns after which to look: 0 if it has its whole effect by then."""
    at_once = started(partial(_leave, target, what, way, meanwhile, 0, None))
    if at_once is None or at_once.after == _closed(target, what, meanwhile):
        return at_once, 0
    return started(partial(_leave, target, what, way, meanwhile, LATE, None)), LATE


def _block(what: str) -> Check:
    def program(target: Target) -> None:
        by_hand_in = cache(partial(_by_hand, target, what))
        for way, meanwhile in product(WAYS, MEANWHILE):
            if what == "channel" and meanwhile in (CLOSED, CLOSED_UNREAD):
                continue
            by_hand, turns = by_hand_in(BY_HAND.get(way, "by hand"), meanwhile)
            error: BaseException | None = ERRORS[way]() if way in ERRORS else None
            if way == CLOSED_ERROR:
                error = started(lambda: _own_closed_error(target))
            if by_hand is None or by_hand.how != "normally" or (way == CLOSED_ERROR and error is None):
                continue  # a close() that fails, or has no effect, breaks another rule
            left = run(partial(_leave, target, what, way, meanwhile, turns, error))
            block = f"async with {what}, left {way}{meanwhile}"
            expected = {CANCELLED: "with its CancelledError", "normally": "normally", REQUESTED: "in either way"}
            expect(expected.get(way, "with the same error"), left.how, f"{block}: ends")
            if left.after != _closed(target, what, meanwhile):
                expect(by_hand.after, left.after, f"{block}: as after close()")

    program.__name__ = f"async_with_closes_a_{what}"
    return check("CH-5.4")(program)


WHAT = ("channel", "publisher", "subscriber")


async def _used(target: Target, what: str, channel: Any, endpoint: Any) -> str:
    uses = {"channel": channel.connect, "publisher": lambda: endpoint.send(1), "subscriber": lambda: endpoint.read()}
    return f"channel {state_of(target, channel)}, {await outcome(uses[what]())}"


async def _close(end: Any, *, by_hand: bool) -> None:
    if by_hand:
        await end.close()
    else:
        async with end:
            pass


async def _first_of_its_channel(target: Target, what: str, *, by_hand: bool) -> str:
    channel = target.channel(0)
    join = {"publisher": channel.connect, "subscriber": channel.subscribe}
    closing = channel if what == "channel" else await join[what]()
    await _close(closing, by_hand=by_hand)
    return await _used(target, what, channel, closing)


async def _joined(target: Target) -> dict[str, Any]:
    channel = target.channel(0)
    return {"channel": channel, "publisher": await channel.connect(), "subscriber": await channel.subscribe()}


async def _inside_a_block_of_its_own(target: Target, what: str, *, by_hand: bool) -> str:
    ends = await _joined(target)
    async with ends[what]:
        await _close(ends[what], by_hand=by_hand)
        return await _used(target, what, ends["channel"], ends[what])


async def _with_a_message_unread(target: Target, what: str, *, by_hand: bool) -> str:
    ends = await _joined(target)
    await ends["publisher"].send("is unread")
    await _close(ends[what], by_hand=by_hand)
    return await outcome(ends["subscriber"].read())


def _short_block(
    program: Callable[..., Coroutine[Any, Any, str]], name: str, obligation: str = "CH-5.4", end: str = "{error} raised"
) -> Check:
    """Compare a program with itself by hand, if that ends as it has to: a close() that is wrong shows without a block."""

    def as_by_hand(target: Target) -> None:
        for what in WHAT:
            after = started(partial(program, target, what, by_hand=True))
            if after and after.endswith(end.format(error=target.closed_error.__name__)):
                left = run(partial(program, target, what, by_hand=False))
                expect(after, left, f"{name}, of a {what}: as after close()")

    as_by_hand.__name__ = name
    return check(obligation)(as_by_hand)


CHECKS = (
    _short_block(_first_of_its_channel, "async with before the channel has opened"),
    _short_block(_inside_a_block_of_its_own, "async with inside another one"),
    _short_block(_with_a_message_unread, "a read after async with that left a message unread", "CH-4.2a", "returned"),
    _block("channel"),
    _block("publisher"),
    _block("subscriber"),
)
