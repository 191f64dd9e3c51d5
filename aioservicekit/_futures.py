"""Futures: what asyncio's own functions don't say in one word."""

import asyncio
import concurrent.futures

__all__ = ["after_turns", "resolve", "seen_from_elsewhere"]


def resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def after_turns(turns: int) -> "asyncio.Future[None]":
    """A future that is done after this many turns of the loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def turn(left: int) -> None:
        if left:
            loop.call_soon(turn, left - 1)
        else:
            resolve(future)

    turn(turns)
    return future


def seen_from_elsewhere(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]"
) -> "concurrent.futures.Future[None]":
    """A future that is done when a future of another thread's loop is done."""
    seen: concurrent.futures.Future[None] = concurrent.futures.Future()

    def done(_: object) -> None:
        if seen.set_running_or_notify_cancel():
            seen.set_result(None)

    loop.call_soon_threadsafe(future.add_done_callback, done)
    return seen
