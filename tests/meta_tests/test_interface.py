"""The interface comes first: one line says what a target lacks, before any rule is judged."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from channels.plain import ChannelClosedError, ChannelState, PlainChannel, PlainPublisher, PlainSubscriber

from aioservicekit_conformance.cli import main
from aioservicekit_conformance.target import TargetError, describe


class Publisher(PlainPublisher[Any]):
    pass


class Subscriber(PlainSubscriber[Any]):
    pass


def target(change: Callable[[type[Any], type[Any], type[Any]], None], **names: object) -> SimpleNamespace:
    """A sound channel with changed classes."""
    publisher_class: type[Any] = type("_Internal", (Publisher,), {})
    subscriber_class: type[Any] = type("_Internal", (Subscriber,), {})

    class Channel(PlainChannel[Any]):
        def _add_publisher(self) -> Any:
            return self._added(publisher_class(self), self._publishers)

        def _add_subscriber(self, size: int) -> Any:
            return self._added(subscriber_class(self, size), self._subscribers)

        def _added(self, end: Any, ends: list[Any]) -> Any:
            ends.append(end)
            self._joined(end)
            return end

    change(Channel, publisher_class, subscriber_class)
    offered = {"Channel": Channel, "ChannelState": ChannelState, "ChannelClosedError": ChannelClosedError}
    return SimpleNamespace(**{**offered, **names})


def sets(which: int, name: str, value: object) -> Callable[..., None]:
    """Sets an attribute of the channel's class (0), of the publisher's (1) or of the subscriber's (2)."""
    return lambda *classes: setattr(classes[which], name, value)


def sync(self: object, *arguments: object, **options: object) -> None:
    """A method that is not async."""


async def returns_nothing(self: object, *arguments: object, **options: object) -> None:
    """A method that returns nothing."""


async def takes_nothing(self: object) -> None:
    """A method that takes nothing."""


def named(self: object) -> str:
    return "initiation"


def raises(self: object) -> None:
    raise KeyError("state")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (sets(0, "subscribe", None), "Channel has no subscribe()"),
        (sets(0, "close", sync), "Channel.close() is not async: it returned None"),
        (sets(0, "connect", sync), "Channel.connect() is not async: it returned None"),
        (sets(0, "connect", returns_nothing), "connect() returns None, not a publisher"),
        (sets(0, "subscribe", takes_nothing), "subscribe(buffer_size=1) raises TypeError"),
        (sets(0, "state", sync), "Channel.state is a method; it must be a property"),
        (sets(0, "state", property(raises)), "Channel.state raises KeyError: 'state' (test_interface.py, line "),
        (sets(0, "state", property(returns_nothing)), "Channel.state is async; it must be a property"),
        (sets(0, "state", property(named)), "Channel.state is a value of str, not a member of ChannelState"),
        (sets(0, "__init__", takes_nothing), "Channel(buffer_size=1) raises TypeError"),
        (sets(0, "__aenter__", None), "Channel has no __aenter__()"),
        (sets(1, "send", None), "Publisher has no send()"),
        (sets(1, "send", sync), "Publisher.send() is not async: it returned None"),
        (sets(1, "send", takes_nothing), "Publisher.send(message) raises TypeError"),
        (sets(2, "read", None), "Subscriber has no read()"),
        (sets(2, "close", sync), "Subscriber.close() is not async: it returned None"),
        (sets(2, "__aiter__", returns_nothing), "Subscriber can't be iterated over with async for"),
    ],
)
def test_what_is_lacking_is_said(change: Callable[..., None], says: str) -> None:
    """The line names the part of the interface, and never one of the target's classes."""
    with pytest.raises(TargetError) as refused:
        describe("theirs", target(change))
    assert str(refused.value).startswith(f"target 'theirs': {says}")
    assert "_Internal" not in str(refused.value)
    assert "interface.py" not in str(refused.value).replace("test_interface.py", "")


def test_what_has_all_is_described() -> None:
    """A sound channel gets no such line."""
    assert describe("theirs", target(lambda *classes: None)).states[ChannelState.open] == "open"


@pytest.mark.parametrize(
    ("states", "says"),
    [
        (SimpleNamespace(initiation=1, open=1, closed=2), "members of its ChannelState are equal to each other"),
        (SimpleNamespace(initiation=[], open=1, closed=2), "can't be told apart by hash"),
    ],
)
def test_states_can_be_told_apart(states: object, says: str) -> None:
    """Members of `ChannelState` that are equal or unhashable are refused."""
    with pytest.raises(TargetError, match=says):
        describe("theirs", target(lambda *classes: None, ChannelState=states))


def test_the_closed_error_is_an_exception() -> None:
    """`except Exception` must catch it: programs expect that of an error."""
    with pytest.raises(TargetError, match="its ChannelClosedError is no subclass of Exception"):
        describe("theirs", target(lambda *classes: None, ChannelClosedError=KeyboardInterrupt))
    with pytest.raises(TargetError, match="its ChannelClosedError is <class 'Exception'>, which other errors are too"):
        describe("theirs", target(lambda *classes: None, ChannelClosedError=Exception))


def test_a_lacking_target_ends_the_command(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path as TARGET, whose subscribers can't be read: status 2, one line, and nothing judged."""
    (tmp_path / "unreadable.py").write_text(
        "import aioservicekit\nfrom aioservicekit import ChannelClosedError, ChannelState\n"
        "class Subscriber:\n    pass\n"
        "class Channel(aioservicekit.Channel):\n    async def subscribe(self, *, buffer_size=None): return Subscriber()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["./unreadable.py"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lacks = "read(), close(), __aenter__(), __aexit__(), __aiter__()"
    assert said.err == f"aioservicekit-conformance: target './unreadable.py': Subscriber has no {lacks}\n"
