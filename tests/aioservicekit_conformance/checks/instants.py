"""Named checks of when something happens: building, entering, joining and closing (CH-1, CH-2.6, CH-5.1)."""

import asyncio
import threading
from functools import partial
from itertools import product
from typing import Any

from ..target import Target
from .check import Broken, check, expect, outcome, started, state_of, turn


@check("CH-1.1b")
def a_channel_is_built_with_no_running_loop(target: Target) -> None:
    built: list[Any] = []

    def build() -> None:
        try:
            built.append(target.channel(1))
        except Exception as error:
            built.append(Broken("a channel built with no running event loop", f"{type(error).__name__}: {error}"))

    # A main thread may have a loop that does not run; another thread has none at all.
    elsewhere = threading.Thread(target=build)
    elsewhere.start()
    elsewhere.join()
    build()
    for each in built:
        if isinstance(each, Broken):
            raise each
    channel = built[-1]

    async def use(channel: Any) -> None:
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        await publisher.send(1)
        await subscriber.read()

    async def build_and_use() -> None:
        await use(target.channel(1))

    used = started(lambda: outcome(use(channel)))
    if used is not None and started(lambda: outcome(build_and_use())) == "None returned":
        expect("None returned", used, "using a channel that was built with no running loop")


@check("CH-1.7")
def entering_a_channel_changes_nothing(target: Target) -> None:
    async def states(*, joined: bool, closed: bool) -> tuple[str, str]:
        """The state before a channel's block is entered, and inside it."""
        channel = target.channel(0)
        endpoints = [await channel.connect(), await channel.subscribe()] if joined else []
        if closed:
            await channel.close()
        before = state_of(target, channel)
        await channel.__aenter__()
        assert endpoints is not None  # until here: an endpoint to which nothing refers is closed
        return (before, state_of(target, channel))

    for joined, closed in ((False, False), (True, False), (False, True), (True, True)):
        seen = started(lambda joined=joined, closed=closed: states(joined=joined, closed=closed))  # type: ignore[misc]
        if seen is not None:
            expect(seen[0], seen[1], "the state inside async with channel, as before it")


@check("CH-2.6")
def a_joining_that_raises_cancelled_error_has_joined_nothing(target: Target) -> None:
    async def state_without(what: str, turns: int, others: int) -> str:
        """The state once the only other endpoint of its kind, if any, has closed; "" if the join did not raise CancelledError."""
        channel = target.channel(1)
        join, other_join = (channel.subscribe, channel.connect)[:: 1 if what == "subscribe" else -1]
        other_side, same_side = await other_join(), [await join() for _ in range(others)]
        if turns:
            joining = asyncio.ensure_future(join())
            await turn(turns)
            joining.cancel()
            await asyncio.wait([joining])
            if not joining.cancelled():
                return ""
        for endpoint in same_side:
            await endpoint.close()
        await turn(10)
        assert other_side is not None  # until here: an endpoint to which nothing refers is closed
        return state_of(target, channel)

    for what, others in product(("subscribe", "connect"), (0, 1)):
        plain = started(partial(state_without, what, 0, others))
        for turns in range(1, 6) if plain else ():
            seen = started(partial(state_without, what, turns, others))
            if seen:
                after = f"the state after a {what}() raised CancelledError"
                expect(
                    str(plain),
                    seen,
                    f"{after} and {'all others of its kind have closed' if others else 'nobody else did'}",
                )


@check("CH-5.1a")
def closing_is_at_once_also_when_it_is_asked_to_cancel(target: Target) -> None:
    async def after_closing(what: str, how: str) -> tuple[str, str]:
        """The channel's state once close() has been called, and what can be done when all is at rest."""
        channel = target.channel(0)
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        others = await channel.connect(), await channel.subscribe()
        closing = asyncio.ensure_future(
            {"channel": channel, "publisher": publisher, "subscriber": subscriber}[what].close()
        )
        await asyncio.sleep(0)
        at_once = state_of(target, channel)
        if how == "asked to cancel":
            closing.cancel()
        await asyncio.wait([closing])
        await turn(5)
        state = state_of(target, channel)
        sent = await outcome(publisher.send(1)) if what != "subscriber" else ""
        read = await outcome(subscriber.read()) if what != "publisher" else ""
        assert others  # until here: an endpoint to which nothing refers is closed
        return at_once, f"channel {state}, send {sent}, read {read}"

    for what in ("channel", "publisher", "subscriber"):
        plain = started(lambda what=what: after_closing(what, "awaited"))  # type: ignore[misc]
        if plain is None:
            continue
        if "channel closed" in plain[1]:
            expect("closed", plain[0], f"the state once close() of the {what} has been called")
        cut_short = started(lambda what=what: after_closing(what, "asked to cancel"))  # type: ignore[misc]
        after = cut_short[1] if cut_short else "an operation that waits for ever"
        expect(plain[1], after, f"the outcome of close() of the {what} that is asked to cancel, as without that")


CHECKS = (
    a_channel_is_built_with_no_running_loop,
    entering_a_channel_changes_nothing,
    a_joining_that_raises_cancelled_error_has_joined_nothing,
    closing_is_at_once_also_when_it_is_asked_to_cancel,
)
