"""Named checks of CH-1 to CH-4: rules, or parts of them, that no history of calls can show.

Each check uses a target as its users do, and raises `Broken` if the target breaks a rule.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from itertools import product
from typing import Any

from ..target import Target
from .check import Broken, Check, Stuck, check, expect, outcome, run, started, state_of


@check("CH-1.1b")
def a_channel_is_built_with_no_running_loop(target: Target) -> None:
    try:
        channel = target.channel(1)
    except Exception as error:
        raise Broken("a channel built with no running event loop", f"{type(error).__name__}: {error}") from error

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


@check("CH-2.2c")
def a_channel_built_without_a_size_holds_nobody_back(target: Target) -> None:
    async def send_three(*size: int) -> None:
        channel = target.channel(*size)
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        for message in range(3):
            await publisher.send(message)
        assert subscriber is not None  # until here: an endpoint to which nothing refers is closed

    if started(lambda: outcome(send_three(0))) == "None returned":
        seen = started(lambda: outcome(send_three())) or "they wait for ever"
        expect("None returned", seen, "three sends on Channel(), whose subscriber reads nothing")


MANY = 40  # messages: more than any case sends


def _sends_that_return(target: Target, default: int, own: dict[str, int | None], most: int = MANY + 1) -> int:
    """The number of sends that return, of `most`, while a subscriber with these arguments reads nothing."""
    sent: list[int] = []

    async def send() -> None:
        channel = target.channel(default)
        publisher, subscriber = await channel.connect(), await channel.subscribe(**own)
        for message in range(most):
            await publisher.send(message)
            sent.append(message)
        assert subscriber is not None  # until here: an endpoint to which nothing refers is closed

    started(lambda: outcome(send()))
    return len(sent)


@check("CH-2.2a")
def none_is_the_default_size(target: Target) -> None:
    if _sends_that_return(target, 1, {}) == 1:
        returned = _sends_that_return(target, 1, {"buffer_size": None})
        expect("1", str(returned), "sends that return on Channel(1), after subscribe(buffer_size=None)")


@check("CH-2.2a")
def a_large_default_size_is_the_size(target: Target) -> None:
    if _sends_that_return(target, 2, {}) == 2:
        expect(str(MANY), str(_sends_that_return(target, MANY, {})), f"sends that return on Channel({MANY})")


@check("CH-2.2b")
def a_large_size_of_its_own_is_the_size(target: Target) -> None:
    if _sends_that_return(target, 1, {"buffer_size": 2}) == 2:
        returned = _sends_that_return(target, 1, {"buffer_size": MANY})
        expect(str(MANY), str(returned), f"sends that return after subscribe(buffer_size={MANY})")


@check("CH-3.4")
def an_unbounded_buffer_is_never_full(target: Target) -> None:
    if _sends_that_return(target, 1, {"buffer_size": 0}, 3) == 3:
        returned = _sends_that_return(target, 1, {"buffer_size": 0}, MANY)
        expect(str(MANY), str(returned), f"of {MANY} sends, those that return after subscribe(buffer_size=0)")


@check("CH-2.3a")
def a_constructor_refuses_bad_buffer_sizes(target: Target) -> None:
    for size, error in BAD_SIZES:

        async def build(size: object = size) -> None:
            target.channel(size)

        expect(f"{error} raised", run(lambda build=build: outcome(build())), f"Channel(buffer_size={size!r})")  # type: ignore[misc]


async def _last_of(target: Target, size: object) -> tuple[str, str]:
    """How subscribing with a size ends, and the state once the only other subscriber, if any, has closed."""
    channel = target.channel(1)
    subscriber, _ = await channel.subscribe(), await channel.connect()
    tried = "" if size is None else await outcome(channel.subscribe(buffer_size=size))
    await subscriber.close()
    return tried, state_of(target, channel)


async def _first_of(target: Target, size: object) -> tuple[str, str]:
    """How subscribing with a size ends on a channel that has a publisher and no subscriber, and its state afterwards."""
    channel = target.channel(1)
    publisher = await channel.connect()
    tried = "" if size is None else await outcome(channel.subscribe(buffer_size=size))
    assert publisher is not None  # until here: an endpoint to which nothing refers is closed
    return tried, state_of(target, channel)


@check("CH-2.3a")
def subscribing_refuses_bad_buffer_sizes(target: Target) -> None:
    for size, error in BAD_SIZES:
        tried = None if size is None else started(lambda size=size: _last_of(target, size))  # type: ignore[misc]
        if tried:
            expect(f"{error} raised", tried[0], f"subscribe(buffer_size={size!r})")


def _refused_subscriber(target: Target) -> None:
    """Joins that fail because of their size register nothing: this breaks both a rule of sizes and one of joins."""
    for program, what in (
        (_last_of, "after all subscribers but the refused one of {!r} have closed"),
        (_first_of, "of a channel with a publisher, after its first subscriber, of {!r}, was refused"),
    ):
        plain = started(partial(program, target, None))
        for size, error in BAD_SIZES if plain else ():
            tried = None if size is None else started(partial(program, target, size))
            if plain and tried and tried[0] == f"{error} raised":
                expect(plain[1], tried[1], f"the state {what.format(size)}")


@check("CH-2.3b")
def a_refused_subscriber_is_not_registered(target: Target) -> None:
    _refused_subscriber(target)


@check("CH-2.6")
def a_subscriber_refused_for_its_size_has_not_joined(target: Target) -> None:
    _refused_subscriber(target)


BAD_SIZES: tuple[tuple[object, str], ...] = (
    (-1, "ValueError"),
    (-1_000_000, "ValueError"),
    (True, "TypeError"),
    (False, "TypeError"),
    (1.0, "TypeError"),
    ("1", "TypeError"),
    (None, "TypeError"),
)


@check("CH-2.6")
def a_joining_that_raises_cancelled_error_has_joined_nothing(target: Target) -> None:
    async def state_without(what: str, turns: int, others: int) -> str:
        """The state once the only other endpoint of its kind, if any, has closed; "" if the join did not raise CancelledError."""
        channel = target.channel(1)
        join, other_join = (channel.subscribe, channel.connect)[:: 1 if what == "subscribe" else -1]
        other_side, same_side = await other_join(), [await join() for _ in range(others)]
        if turns:
            joining = asyncio.ensure_future(join())
            await asyncio.sleep(0)
            for _ in range(turns - 1):
                await asyncio.sleep(0)
            joining.cancel()
            await asyncio.wait([joining])
            if not joining.cancelled():
                return ""
        for endpoint in same_side:
            await endpoint.close()
        for _ in range(10):
            await asyncio.sleep(0)
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


class Incomparable:
    """A message that has no truth, no hash, and equals nothing, like an array of numbers."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("can't be compared")

    def __bool__(self) -> bool:
        raise TypeError("neither true nor false")

    def __repr__(self) -> str:
        return "an object that can't be compared"


class Awaited:
    """A message that could be awaited."""

    def __await__(self) -> Generator[None, None, str]:
        yield from ()
        return "awaited"

    def __repr__(self) -> str:
        return "an awaitable object"


MESSAGES: tuple[object, ...] = (
    *(0, None, False, "", [], ..., [1, 2], StopAsyncIteration),
    *(ValueError("sent"), asyncio.CancelledError("sent"), Incomparable(), Awaited()),
)


async def _send_and_read(target: Target, message: object, waits: bool, seen: list[str]) -> None:
    """Send a message and read it, and note how each of the two ends; the read may wait already when the message is sent."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    reading = asyncio.ensure_future(subscriber.read()) if waits else None
    await asyncio.sleep(0)
    try:
        await publisher.send(message)
        seen.append("it returns")
        found = await (reading or subscriber.read())
        seen.append("it returns that object" if found is message else ANOTHER)
    except target.closed_error:
        seen.append("it raises ChannelClosedError")
    except Exception as error:
        seen.append(f"it raises {type(error).__name__}")


async def _is_there_at_the_close(target: Target, message: object) -> bool:
    """Whether a message that nobody has read is read after the channel has closed; if not, it was lost."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    await publisher.send(message)
    await channel.close()
    try:
        return await subscriber.read() is message
    except Exception:
        return False


def _seen_of(target: Target, message: object, waits: bool) -> list[str]:
    seen: list[str] = []
    try:
        run(partial(_send_and_read, target, message, waits, seen))
    except Stuck:
        beside = bool(seen) and started(partial(_is_there_at_the_close, target, message))
        seen.append(f"it waits for ever{', beside its message' if beside else ''}")
    except asyncio.CancelledError:
        seen.append("it raises CancelledError")
    return seen


def _whatever_was_sent(obligation: str, which: str, wrong: str, name: str) -> Check:
    """A send, and the read of its message, end as usual whatever the message is; if one does not, `wrong` matches what it does."""
    step = ("send", "read").index(which)

    def program(target: Target) -> None:
        for waits, message in product((False, True), (object(), *MESSAGES)):
            seen = _seen_of(target, message, waits)
            broken = seen[:step] == SENT_AND_READ[:step] and re.fullmatch(wrong, seen[step])
            if broken and (wrong == ANOTHER or _seen_of(target, object(), waits) == SENT_AND_READ):
                when = "while a read waits" if waits else "and then read"
                expect(SENT_AND_READ[step], seen[step], f"{message!r} is sent {when}; the {which}")

    program.__name__ = name
    return check(obligation)(program)


SENT_AND_READ = ["it returns", "it returns that object"]
ANOTHER = "it returns another object"  # a copy, for example, whatever is sent
WHATEVER_WAS_SENT = (
    _whatever_was_sent("CH-3.4", "send", "it (waits|raises).*", "whatever is sent is taken"),
    _whatever_was_sent("CH-4.1a", "read", ANOTHER, "whatever was sent is read"),
    _whatever_was_sent(
        "CH-4.1b", "read", "it raises (?!ChannelClosedError).*", "whatever was sent does not fail reading"
    ),
    _whatever_was_sent("CH-4.2b", "read", "it raises ChannelClosedError", "whatever was sent does not end reading"),
    _whatever_was_sent(
        "CH-4.6", "read", "it waits for ever, beside its message", "whatever was sent lets reading go on"
    ),
)


ALIKE: tuple[list[object], ...] = (
    [[] for _ in range(6)],
    [ValueError(), None, 0, False, "", None],
    [1, True, 1.0, 1, True, 1.0],
    ["the very same"] * 6,
    list(MESSAGES),
)


async def _received(target: Target, messages: list[object]) -> str | None:
    """How many messages are read once all of these have been sent, and how many fewer different objects these are."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    for message in messages:
        await publisher.send(message)
    await channel.close()
    seen: list[object] = []
    try:
        while len(seen) <= len(messages):
            seen.append(await subscriber.read())
    except target.closed_error:
        pass
    except Exception:
        return None  # whichever rule that breaks, it is another one
    sent, received = (len(set(map(id, each))) for each in (messages, seen))
    return f"{len(seen)} messages, {max(sent - received, 0)} missing"


@check("CH-2.4a")
def messages_that_are_alike_are_all_received(target: Target) -> None:
    for alike in ALIKE:
        every_one = f"{len(alike)} messages, 0 missing"
        seen = started(partial(_received, target, list(alike)))
        if (
            seen not in (None, every_one)
            and started(partial(_received, target, [object() for _ in alike])) == every_one
        ):
            expect(every_one, str(seen), f"what is read from {alike!r}")


@check("CH-2.4a")
def an_unbounded_buffer_keeps_everything(target: Target) -> None:
    few, many = (started(partial(_received, target, list(range(count)))) for count in (3, 100))
    if few == "3 messages, 0 missing":
        expect("100 messages, 0 missing", str(many), "what is read of 100 messages that nobody read meanwhile")


Drain = Callable[[Target, Any], Coroutine[Any, Any, list[object]]]
AT_MOST = 100  # messages: a target may return some for ever


async def _by_reading(target: Target, subscriber: Any) -> list[object]:
    seen: list[object] = []
    try:
        while len(seen) < AT_MOST:
            seen.append(await subscriber.read())
    except target.closed_error:
        pass
    return seen


async def _by_iteration(target: Target, subscriber: Any) -> list[object]:
    seen: list[object] = []
    async for message in subscriber:
        seen.append(message)
        if len(seen) == AT_MOST:
            break
    return seen


async def _by_both(target: Target, subscriber: Any) -> list[object]:
    """One iterator, and reads between its steps."""
    seen: list[object] = []
    try:
        async for message in subscriber:
            seen.append(message)
            seen.append(await subscriber.read())
            if len(seen) >= AT_MOST:
                break
    except target.closed_error:
        pass
    return seen


TO_DRAIN: tuple[tuple[object, ...], ...] = (MESSAGES, ("again",) * 4)


async def _drained(target: Target, messages: tuple[object, ...], drain: Drain) -> list[object]:
    """What is read from a channel that has closed with buffered messages."""
    channel = target.channel(0)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    for message in messages:
        await publisher.send(message)
    await channel.close()
    try:
        return await drain(target, subscriber)
    except Exception as error:
        return [f"{type(error).__name__} raised"]


@check("CH-4.7a")
def async_for_yields_what_read_returns(target: Target) -> None:
    for messages, drain in product(TO_DRAIN, (_by_iteration, _by_both)):
        expected = started(partial(_drained, target, messages, _by_reading))
        seen = started(partial(_drained, target, messages, drain))
        if expected is not None and seen is not None:
            expect(repr(expected), repr(seen), "async for over the messages of a closed channel")


@check("CH-4.7b")
def async_for_ends_with_the_last_message(target: Target) -> None:
    if started(partial(_drained, target, MESSAGES, _by_reading)) is not None:
        run(partial(_drained, target, MESSAGES, _by_iteration))


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
        for _ in range(5):
            await asyncio.sleep(0)
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
    a_channel_built_without_a_size_holds_nobody_back,
    none_is_the_default_size,
    a_large_default_size_is_the_size,
    a_large_size_of_its_own_is_the_size,
    an_unbounded_buffer_is_never_full,
    a_constructor_refuses_bad_buffer_sizes,
    subscribing_refuses_bad_buffer_sizes,
    a_refused_subscriber_is_not_registered,
    a_subscriber_refused_for_its_size_has_not_joined,
    a_joining_that_raises_cancelled_error_has_joined_nothing,
    *WHATEVER_WAS_SENT,
    messages_that_are_alike_are_all_received,
    an_unbounded_buffer_keeps_everything,
    async_for_yields_what_read_returns,
    async_for_ends_with_the_last_message,
    closing_is_at_once_also_when_it_is_asked_to_cancel,
)
