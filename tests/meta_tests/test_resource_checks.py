"""The named checks of CH-7 refuse channels that keep these rules wrongly, and skip channels that do not claim them."""

import asyncio
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from channels.plain import PlainChannel, Target

import aioservicekit.channels as ours
from aioservicekit._core import Core
from aioservicekit_conformance.checks.forgetting import NOBODY_WARNED
from aioservicekit_conformance.judging import judge
from aioservicekit_conformance.target import describe, load
from aioservicekit_conformance.verdicts import Verdict


def verdict(rule: str) -> Verdict:
    (only,) = judge(load("aioservicekit"), frozenset({rule}), 1, 0).verdicts
    return only


@pytest.mark.parametrize("rule", ["CH-7.1", "CH-7.2", "CH-7.3"])
def test_the_reference_passes(rule: str) -> None:
    """The reference claims these rules, and keeps them."""
    assert verdict(rule).verdict == "pass"


def warns_and_stays_connected(endpoint: Any) -> None:
    if endpoint._is_connected():
        warnings.warn(f"{endpoint!r} was never closed", ResourceWarning, stacklevel=1)


def warns_of_what_is_closed(endpoint: Any) -> None:
    warnings.warn(f"{endpoint!r} was never closed", ResourceWarning, stacklevel=1)
    endpoint._disconnect()


def names_nothing(endpoint: Any) -> None:
    if endpoint._is_connected():
        warnings.warn("something was never closed", ResourceWarning, stacklevel=1)
        endpoint._disconnect()


def warns_of_publishers_alone(endpoint: Any) -> None:
    if isinstance(endpoint, ours._ChannelPublisher):
        endpoint_finalizer(endpoint)


def cares_once_the_channel_is_open(endpoint: Any) -> None:
    if endpoint._core.opened:
        endpoint_finalizer(endpoint)
    elif endpoint._is_connected():
        warnings.warn(f"{endpoint!r} was never closed", ResourceWarning, stacklevel=1)


endpoint_finalizer = ours._Endpoint.__del__


@pytest.mark.parametrize(
    ("finalizer", "expected", "observed"),
    [
        (
            warns_and_stays_connected,
            "a publisher was forgotten, as after its close(): channel closed, a read raises",
            "open",
        ),
        (warns_of_what_is_closed, "when its endpoint has closed: []", "was never closed"),
        (warns_of_publishers_alone, "a ResourceWarning that names the forgotten subscriber", "none"),
        (
            cares_once_the_channel_is_open,
            "a publisher of a channel that has not opened was forgotten, as after its close(): channel initiation",
            "open",
        ),
    ],
)
def test_wrong_care_of_forgotten_endpoints_is_refused(
    finalizer: Callable[[Any], None], expected: str, observed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that warns must close the endpoint, name it, and not warn of closed ones (CH-7.2)."""
    monkeypatch.setattr(ours._Endpoint, "__del__", finalizer)
    found = verdict("CH-7.2")
    assert found.verdict == "fail"
    assert expected in found.expected
    assert observed in found.observed


def leaves_the_channel_open(core: Any, publisher: object) -> None:
    core.publishers.discard(publisher)


def leaves_the_endpoints_connected(core: Any, why: str) -> None:
    core.why_closed = why


@pytest.mark.parametrize(
    ("closing", "wrong"), [("disconnect", leaves_the_channel_open), ("close", leaves_the_endpoints_connected)]
)
def test_care_of_forgotten_endpoints_is_not_blamed_for_what_closings_do(
    closing: str, wrong: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten endpoint is closed as by hand, and one that its channel's closing left connected may warn (CH-7.2)."""
    monkeypatch.setattr(Core, closing, wrong)
    assert verdict("CH-7.2").verdict == "pass"


def test_a_finalizer_may_leave_its_work_to_whoever_looks_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that only a forgotten endpoint could read is gone once somebody has looked at the channel (CH-7.1)."""
    left: list[Callable[[], None]] = []
    state = ours.Channel.state

    def leave_it(endpoint: Any) -> None:
        if endpoint._is_connected():
            warnings.warn(f"{endpoint!r} was never closed", ResourceWarning, stacklevel=1)
            left.append(endpoint._disconnect)

    def look(channel: Any) -> object:
        while left:
            left.pop()()
        return state.__get__(channel)

    monkeypatch.setattr(ours._Endpoint, "__del__", leave_it)
    monkeypatch.setattr(ours.Channel, "state", property(look))
    assert verdict("CH-7.1").verdict == "pass"


class ReadMessagesLinger(PlainChannel[Any]):
    """A subscriber's list keeps what has been read until that is more than half of it."""

    def _add_subscriber(self, size: int) -> Any:
        subscriber = super()._add_subscriber(size)
        subscriber.backlog = HalfEmpty()
        return subscriber


class HalfEmpty(deque[Any]):
    def __init__(self) -> None:
        super().__init__()
        self._kept: list[Any] = []

    def popleft(self) -> Any:
        message = super().popleft()
        self._kept.append(message)
        if len(self._kept) >= len(self):
            self._kept.clear()
        return message


def test_what_has_been_read_is_gone_though_more_is_left_to_read() -> None:
    """A message may be kept only as long as somebody can read it, and not until the messages behind it are read too (CH-7.1)."""
    (only,) = judge(describe("theirs", Target(ReadMessagesLinger)), frozenset({"CH-7.1"}), 1, 0).verdicts
    assert only.verdict == "fail"
    assert "unlike two later ones" in only.expected


@pytest.mark.parametrize("finalizer", [lambda endpoint: None, names_nothing])
def test_no_care_of_forgotten_endpoints_is_said(
    finalizer: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that never warns, or never by name, is not refused: the rule is untested, with the reason."""
    monkeypatch.setattr(ours._Endpoint, "__del__", finalizer)
    found = verdict("CH-7.2")
    assert (found.verdict, found.evidence) == ("untested", NOBODY_WARNED)


def without_waiting(statistics: ours.ChannelStatistics) -> ours.ChannelStatistics:
    return statistics._replace(sends_waiting=0)


def without_subscribers(statistics: ours.ChannelStatistics) -> ours.ChannelStatistics:
    return statistics._replace(subscribers=())


def with_a_publisher_at_the_end(statistics: ours.ChannelStatistics) -> ours.ChannelStatistics:
    return statistics._replace(publishers=statistics.publishers + (statistics.state is ours.ChannelState.closed))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (without_waiting, "the statistics to show the waiting sends: 26"),
        (without_subscribers, "the statistics to show the buffered messages: 5"),
        (with_a_publisher_at_the_end, "statistics of a closed channel, as in those of a new one"),
    ],
)
def test_wrong_statistics_are_refused(
    told: Callable[[ours.ChannelStatistics], ours.ChannelStatistics], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics show what is buffered and what waits, and for a closed channel nothing (CH-7.3)."""
    statistics = ours.Channel.statistics
    monkeypatch.setattr(ours.Channel, "statistics", lambda channel: told(statistics(channel)))
    assert expected in verdict("CH-7.3").expected


@pytest.mark.parametrize(
    ("whose", "text", "expected"),
    [
        (ours.Channel, "<a channel>", "the channel to show the state: open"),
        (ours.Channel, "<an open channel: 3 full>", "the number of full in <an open channel: 3 full>: 1 full"),
        (ours.Channel, "<an open channel: sends=0>", "the number of sends in <an open channel: sends=0>: 26 sends"),
        (ours._ChannelSubscriber, "<5 of 11 or 7, 0 reads waiting>", "the number of reads in"),
        (ours._ChannelSubscriber, "<a subscriber>", "the subscriber to show the buffered messages: 5"),
        (ours._ChannelPublisher, "<a publisher>", "the publisher to show that it is closed once it is"),
        (ours._ChannelPublisher, "<a closed publisher>", "the publisher to show that it is closed once it is"),
    ],
)
def test_a_repr_that_tells_nothing_is_refused(
    whose: type[Any], text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The channel and its endpoints show their state, and a subscriber what it has buffered (CH-7.3)."""
    monkeypatch.setattr(whose, "__repr__", lambda self: text)
    assert expected in verdict("CH-7.3").expected


def test_what_waits_may_be_counted_a_few_turns_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel with a task of its own, which puts reads in line, shows them once that task has run (CH-7.3)."""
    read = ours._ChannelSubscriber.read

    async def later(subscriber: Any) -> Any:
        for _ in range(3):
            await asyncio.sleep(0)
        return await read(subscriber)

    monkeypatch.setattr(ours._ChannelSubscriber, "read", later)
    assert verdict("CH-7.3").verdict == "pass"


def test_a_count_may_stand_after_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In "size=0 reads=24", 24 reads wait, and not none (CH-7.3)."""

    def text(self: Any) -> str:
        of = self._buffer
        state = "connected" if self._is_connected() else "closed"
        return f"<{state} buffered={len(of.messages)} size={of.size} reads={len(of.reads)}>"

    monkeypatch.setattr(ours._ChannelSubscriber, "__repr__", text)
    assert verdict("CH-7.3").verdict == "pass"


def test_serial_numbers_and_words_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an endpoint's number nor another word for "closed" makes a `repr()` wrong (CH-7.3)."""
    numbers: dict[int, int] = {}

    def of_publisher(self: Any) -> str:
        return f"<publisher connected={self._is_connected()}>"

    def of_subscriber(self: Any) -> str:
        of = self._buffer
        number = numbers.setdefault(id(of), len(numbers))
        return f"<subscriber {number} connected={self._is_connected()} {len(of.messages)} of {of.size}, {len(of.reads)} read>"

    monkeypatch.setattr(ours._ChannelPublisher, "__repr__", of_publisher)
    monkeypatch.setattr(ours._ChannelSubscriber, "__repr__", of_subscriber)
    assert verdict("CH-7.3").verdict == "pass"


def test_no_statistics_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel without `statistics()` is not refused for that: the rule is untested, with the reason."""
    monkeypatch.delattr(ours.Channel, "statistics")
    found = verdict("CH-7.3")
    assert found.verdict == "untested"
    assert "no statistics()" in found.evidence


class KeepsMessages(ours.Channel[Any]):
    """It keeps the last message, to show it to those who debug."""

    async def connect(self) -> Any:
        publisher = await super().connect()
        channel = self

        class Keeping:
            async def send(self, data: Any) -> None:
                channel.last = data  # type: ignore[attr-defined]
                await publisher.send(data)

            async def close(self) -> None:
                await publisher.close()

        return Keeping()


class SendsWhatWasCancelled(PlainChannel[Any]):
    """A send that is cancelled leaves its message to the one who makes room."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._left: list[Any] = []

    async def _send(self, publisher: Any, message: Any) -> None:
        try:
            await super()._send(publisher, message)
        except asyncio.CancelledError:
            self._left.append(message)
            raise

    async def _read(self, subscriber: Any) -> Any:
        message = await super()._read(subscriber)
        while self._left and self._room():
            self._commit(self._left.pop())
        return message


def test_a_message_that_is_still_delivered_is_not_kept_for_nothing() -> None:
    """A cancelled send whose message comes later breaks CH-3.8, and not CH-7.1."""
    target = describe("theirs", Target(SendsWhatWasCancelled))
    report = judge(target, frozenset({"CH-3.8", "CH-7.1"}), 100, 0)
    assert {v.rule: v.verdict for v in report.verdicts} == {"CH-3.8": "fail", "CH-7.1": "pass"}


class KeepsEndpoints(ours.Channel[Any]):
    """It lists everybody who has ever joined."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self.joined: list[object] = []

    async def connect(self) -> Any:
        self.joined.append(await super().connect())
        return self.joined[-1]


class KeepsWhatClosesWithIt(ours.Channel[Any]):
    """It lists the endpoints that were connected when it closed."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self.joined: weakref.WeakSet[Any] = weakref.WeakSet()
        self.closed_with: list[object] = []

    async def subscribe(self, *, buffer_size: int | None = None, name: str | None = None) -> Any:
        subscriber = await super().subscribe(buffer_size=buffer_size)
        self.joined.add(subscriber)
        return subscriber

    async def close(self) -> None:
        self.closed_with = list(self.joined)
        await super().close()


@pytest.mark.parametrize(
    ("channel", "observed"),
    [
        (KeepsMessages, "a message that has been read"),
        (KeepsEndpoints, "a publisher when it has closed"),
        (KeepsWhatClosesWithIt, "a subscriber when its channel has closed"),
    ],
)
def test_what_is_kept_too_long_is_refused(channel: type, observed: str) -> None:
    """A channel that refers to a message that was read, or to a publisher that has closed, breaks CH-7.1."""
    target = load("aioservicekit")._replace(channel=channel)
    (only,) = judge(target, frozenset({"CH-7.1"}), 1, 0).verdicts
    assert only.verdict == "fail"
    assert observed in only.expected


class KeepsItsReader(ours.Channel[Any]):
    """It remembers the subscriber that has joined last."""

    async def subscribe(self, *, buffer_size: int | None = None, name: str | None = None) -> Any:
        self.newest = await super().subscribe(buffer_size=buffer_size)
        return self.newest


def test_a_connected_endpoint_that_nobody_can_forget_is_refused() -> None:
    """What a channel refers to itself is never collected (CH-7.2b)."""
    target = load("aioservicekit")._replace(channel=KeepsItsReader)
    (only,) = judge(target, frozenset({"CH-7.2"}), 1, 0).verdicts
    assert (only.verdict, only.obligations) == ("fail", ("CH-7.2b",))
    assert "a forgotten subscriber" in only.expected


class CutsSizes(ours.Channel[Any]):
    """No subscriber's own size may be above the default."""

    async def subscribe(self, *, buffer_size: int | None = None, name: str | None = None) -> Any:
        return await super().subscribe(buffer_size=buffer_size and min(buffer_size, self._buffer_size))


def test_true_statistics_of_wrong_sizes_are_not_refused() -> None:
    """A channel that cuts a size, and shows the one that counts, breaks CH-2.2, and not CH-7.3."""
    target = load("aioservicekit")._replace(channel=CutsSizes)
    (only,) = judge(target, frozenset({"CH-7.3"}), 1, 0).verdicts
    assert only.verdict == "untested"
    assert "size is not kept" in only.evidence


class FailsInACallback(PlainChannel[Any]):
    async def connect(self) -> Any:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        return await super().connect()


def test_errors_of_callbacks_are_not_kept() -> None:
    """A refused join that leaves a callback behind, which fails, registers nothing (CH-2.1)."""
    (only,) = judge(describe("theirs", Target(FailsInACallback)), frozenset({"CH-2.1"}), 20, 0).verdicts
    assert only.verdict == "pass"


class KeepsUnheardMessages(PlainChannel[Any]):
    """What nobody hears stays with the channel until the next message."""

    unheard: object = None

    async def _send(self, publisher: Any, message: Any) -> None:
        await super()._send(publisher, message)
        self.unheard = None if self._subscribers else message


def test_a_message_that_nobody_heard_is_let_go() -> None:
    """A message that was sent while nobody had subscribed must not stay (CH-3.3b, CH-7.1)."""
    report = judge(describe("theirs", Target(KeepsUnheardMessages)), frozenset({"CH-3.3", "CH-7.1"}), 100, 0)
    for found in report.verdicts:
        assert found.verdict == "fail"
        assert "a message that was sent to nobody" in found.expected
    assert [found.obligations for found in report.verdicts] == [("CH-3.3b",), ()]
