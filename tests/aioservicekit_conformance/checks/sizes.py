"""Named checks of buffer sizes: what no drawn case asks for (CH-2.2, CH-2.3)."""

from functools import partial

from ..target import Target
from .check import check, expect, outcome, run, started, state_of


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


CHECKS = (
    a_channel_built_without_a_size_holds_nobody_back,
    none_is_the_default_size,
    a_large_default_size_is_the_size,
    a_large_size_of_its_own_is_the_size,
    an_unbounded_buffer_is_never_full,
    a_constructor_refuses_bad_buffer_sizes,
    subscribing_refuses_bad_buffer_sizes,
    a_refused_subscriber_is_not_registered,
    a_subscriber_refused_for_its_size_has_not_joined,
)
