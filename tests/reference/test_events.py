"""Events: listeners, plain or coroutine functions (SV-1.2)."""

import asyncio
import logging
from typing import Any

import pytest
from settling import settle
from stepping import listen, run

from aioservicekit import Event, EventClosedError


def test_listeners_are_called_in_the_order_in_which_they_were_added() -> None:
    """Each listener is called once, however often it was added, and not after it was removed."""

    async def main() -> list[str]:
        event = Event[[str]]()
        heard: list[str] = []

        def first(what: str) -> None:
            heard.append(f"first {what}")

        async def second(what: str) -> None:
            await asyncio.sleep(1)
            heard.append(f"second {what}")

        for listener in (first, second, first):
            event.add_listener(listener)
        await event.emit("a")
        event.remove_listener(first)
        event.remove_listener(first)
        await event.emit("b")
        return heard

    assert run(main) == ["first a", "second a", "second b"]


def test_a_listener_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever listeners raise is logged, and the other listeners are still called (SV-1.3)."""

    def plain(what: str) -> None:
        raise KeyError("plain")

    async def coroutine(what: str) -> None:
        raise KeyError("coroutine")

    async def cancelled(what: str) -> None:
        raise asyncio.CancelledError

    async def main() -> list[Any]:
        event = Event[[str]]()
        for listener in (plain, coroutine, cancelled):
            event.add_listener(listener)
        heard = listen(event)
        await event.emit("a")
        await settle()
        return heard

    with caplog.at_level(logging.ERROR):
        assert run(main) == ["a"]
    assert "KeyError: 'plain'" in caplog.text
    assert "KeyError: 'coroutine'" in caplog.text
    assert len(caplog.records) == 3


def test_listeners_may_come_and_go_while_an_event_is_emitted() -> None:
    """A listener that another listener adds is called from the next time on."""

    async def main() -> list[str]:
        event = Event[[str]]()
        heard: list[str] = []

        def once(what: str) -> None:
            event.remove_listener(once)
            event.add_listener(heard.append)

        event.add_listener(once)
        await event.emit("a")
        await event.emit("b")
        return heard

    assert run(main) == ["b"]


def test_cancelling_who_emits_leaves_the_listeners_alone() -> None:
    """A listener goes on when the caller of `emit` is cancelled."""

    async def main() -> list[int]:
        event = Event[[int]]()
        heard: list[int] = []

        async def slow(number: int) -> None:
            await asyncio.sleep(2)
            heard.append(number)

        event.add_listener(slow)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event.emit(1), 1)
        await asyncio.sleep(2)
        return heard

    assert run(main) == [1]


def test_a_closed_event() -> None:
    """A closed event accepts no listeners and can't be emitted; as a context manager an event closes at the end."""

    async def main() -> None:
        with Event[[int]]() as event:
            heard = listen(event)
            assert event.has_listeners
            assert not event.is_closed
        assert event.is_closed
        with pytest.raises(EventClosedError, match="can't be emitted"):
            await event.emit(1)
        with pytest.raises(EventClosedError, match="accepts no listeners"):
            event.add_listener(heard.append)
        event.close()
        assert event.notify(1) == []
        assert heard == []

    run(main)


def test_a_listener_must_be_callable() -> None:
    """Anything that is not callable is refused at once."""
    with pytest.raises(TypeError, match="a function or a coroutine function, not 3"):
        Event[[int]]().add_listener(3)  # type: ignore[arg-type]
