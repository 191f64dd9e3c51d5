"""Futures: what asyncio's own functions don't say in one word."""

import asyncio

__all__ = ["after_turns", "resolve"]


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
