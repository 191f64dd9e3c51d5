"""Threads are stopped at every instruction in the channel, others run there, and the model judges what they see (CH-6.1).

Threads that run for real seldom switch where it matters. Here every switch is chosen, and recurs: see `interleaving.py`.
"""

import __future__

import asyncio
import inspect
import sys
from collections import deque
from functools import partial
from itertools import count, product
from typing import Any, NamedTuple

import pytest
from interleaving import Refused, Scenario, lines_of, single_stops, windows
from settling import ended, settle
from taking_turns import SHARED, Stop

from aioservicekit import Channel, Publisher, Subscriber, _core, channels

SCENARIOS = {
    "a full buffer is read beside a send": Scenario((1,), "p.send", "s1.read", "p.send p.send"),
    "a send that has to wait, beside the read": Scenario((1,), "p.send", "p.send", "s1.read"),
    "two reads and sends that fill it again": Scenario(
        (2,), "p.send p.send", "s1.read", "s1.read p.send p.send p.send"
    ),
    "the last room is taken beside a read": Scenario((2,), "p.send", "p.send p.send", "s1.read"),
    "two full buffers": Scenario((1, 1), "p.send p.send", "s1.read", "s2.read s1.read s2.read"),
    "one of two full buffers is read beside a send": Scenario((1, 1), "p.send s1.read", "p.send", "s2.read"),
    "nothing to read yet": Scenario((0,), "", "s1.read", "p.send"),
    "one message for two reads": Scenario((0,), "p.send", "s1.read", "s1.read p.send"),
    "a read finds a message behind one that was handed": Scenario(
        (0,), "first: s1.read second: p.send p.send", "s1.read", "s1.read"
    ),
    "a read waits, and another one is called": Scenario((0,), "s1.read", "p.send s1.read", "s1.read p.send"),
    "a commit goes round": Scenario((0, 0), "", "p.send", "s1.read s2.read p.send p.send"),
    "a commit goes round readers": Scenario((0, 1), "s1.read s2.read", "p.send p.send", "s1.read s2.read"),
    "closed beside the last read": Scenario((0,), "p.send", "s1.read s1.read", "s1.close"),
    "closing beside reads": Scenario((1,), "p.send p.send", "channel.close", "s1.read s1.read"),
    "closing beside a send": Scenario((1,), "p.send", "p.send", "s1.read channel.close"),
    "the full subscriber closes": Scenario((1, 0), "p.send p.send", "s1.close", "s2.read p.send"),
    # joins and closes
    "a subscriber joins beside sends": Scenario((0,), "", "channel.subscribe", "p.send p.send"),
    "a send beside one who joins": Scenario((0,), "", "p.send", "channel.subscribe p.send"),
    "a join beside the close": Scenario((0,), "", "channel.subscribe", "channel.close"),
    "a publisher joins beside the close": Scenario((0,), "", "channel.connect", "p.close"),
    "the first two join side by side": Scenario((), "", "channel.subscribe", "channel.connect", publishers=0),
    "the last subscriber closes beside a send": Scenario((0,), "", "s1.close", "p.send"),
    "a send beside the closing of the last subscriber": Scenario((0,), "", "p.send", "s1.close"),
    "a publisher closes beside the sends that it holds": Scenario(
        (1,), "p.send p.send first: q.send", "p.close", "s1.read", 2
    ),
    "a read beside the closing of a publisher whose sends wait": Scenario(
        (1,), "p.send p.send first: q.send", "s1.read", "p.close", 2
    ),
    "two close": Scenario((1,), "p.send p.send", "p.close", "s1.close channel.close"),
    # cancelling
    "a send is cancelled beside the read that makes room": Scenario((1,), "p.send first: p.send", "cancel", "s1.read"),
    "a read makes room beside the cancelling of a send": Scenario(
        (1,), "p.send p.send first: p.send", "s1.read", "cancel s1.read p.send"
    ),
    "a read is cancelled beside a send": Scenario((0,), "first: s1.read second: s1.read", "cancel", "p.send"),
    "a send beside the cancelling of a read": Scenario((0,), "s1.read first: s1.read", "p.send", "cancel"),
    "a read is cancelled that has its message": Scenario(
        (1,), "first: s1.read second: p.send", "cancel", "p.send s1.read"
    ),
    "a send is cancelled that has committed": Scenario(
        (1,), "p.send first: p.send second: s1.read", "cancel", "s1.read p.send"
    ),
    # resuming
    "a read resumes": Scenario((1,), "first: s1.read s1.read second: p.send p.send", "run", "p.send s1.read p.send"),
    "a send resumes": Scenario((1,), "p.send first: p.send second: s1.read", "run", "p.send s1.read channel.close"),
    "a read finds its subscriber closed": Scenario(
        (1,), "first: s1.read second: p.send s1.close", "s1.read", "s1.read"
    ),
    "a send finds its publisher closed": Scenario(
        (1,), "p.send first: p.send second: p.close", "run p.send", "s1.read"
    ),
    # loops that close
    "a send beside the closing of the loop of a read": Scenario((0,), "s1.read", "p.send p.send", "loop.close"),
    "a loop closes after its read has returned what a send still hands to it": Scenario(
        (0,), "s1.read", "p.send", "run loop.close s1.read"
    ),
    "a loop closes with a message that was handed to its read": Scenario(
        (0,), "first: s1.read s1.read second: p.send", "loop.close", "p.send s1.read"
    ),
    "a message comes back to a read that waits on another loop": Scenario(
        (0,), "first: s1.read second: s1.read p.send", "loop.close", "run"
    ),
    "a message comes back to a full buffer": Scenario(
        (1,), "first: s1.read second: p.send p.send p.send", "loop.close", "s1.read p.send"
    ),
    "a read makes room for a send whose loop closes": Scenario((1,), "p.send p.send", "s1.read", "loop.close"),
    "reads on two loops, one of which closes": Scenario((0,), "s1.read first: s1.read", "s1.read", "p.send loop.close"),
    "a loop closes on which a read has been completed, and a message is behind": Scenario(
        (0,), "first: s1.read", "p.send+p.send+loop.close", "p.send"
    ),
    "a loop closes on which a read has been completed, and another one waits": Scenario(
        (0,), "first: s1.read", "p.send+loop.close", "s1.read"
    ),
}

# What two threads may be doing in these states, each with every other.
STATES = {
    "nothing sent": ((0, 1), ""),
    "a send waits on each loop": ((1,), "p.send first: p.send second: q.send"),
    "a read waits on each loop": ((0, 1), "first: s1.read second: s1.read"),
    "a read and a send have been completed": (
        (1,),
        "first: s1.read second: p.send p.send first: q.send second: s1.read",
    ),
}
OPERATIONS = (
    "p.send", "s1.read", "channel.subscribe", "channel.connect", "p.close", "s1.close", "channel.close",
    "cancel", "loop.close", "run",
)  # fmt: skip

# The core of each pair of operations, short enough for windows of two instructions, and how many windows there are at least.
PAIRS = {
    "read and send": (Scenario((1,), "p.send", "s1.read", "p.send"), 300),
    "two reads of one message": (Scenario((1,), "p.send", "s1.read", "s1.read"), 100),
    "cancel and commit": (Scenario((1,), "p.send first: p.send", "cancel", "s1.read"), 200),
}
LONGER_PAIRS = {
    "send and read": (Scenario((1,), "p.send", "p.send", "s1.read"), 1000),
    "send and close": (Scenario((0,), "", "p.send", "s1.close"), 1000),
    "send and subscribe": (Scenario((0,), "", "p.send", "channel.subscribe"), 1000),
    "two reads, and a send that waits": (Scenario((2,), "p.send p.send p.send", "s1.read", "s1.read"), 1000),
    "unsubscribe and commit": (Scenario((1, 1), "p.send p.send", "s1.close", "s2.read"), 1000),
    "join and close": (Scenario((0,), "", "channel.subscribe", "channel.close"), 1000),
    "a loop that closes, and a read": (Scenario((0,), "first: s1.read second: p.send", "loop.close", "s1.read"), 1000),
    "a loop that closes, and a send": (Scenario((0,), "s1.read", "p.send", "loop.close"), 500),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_instruction_is_a_bad_one_to_be_stopped_at(name: str) -> None:
    """Wherever one thread is stopped while another one runs, the model explains what both have seen (CH-6.1)."""
    assert single_stops(SCENARIOS[name], SHARED).trials > 5, "hardly any instruction was stopped at"


def test_what_comes_back_is_the_oldest_from_the_first_instruction_on() -> None:
    """While a closed loop's message comes back, no read takes the next one before it (CH-3.6, CH-4.1, CH-6.3)."""
    scenario = Scenario((0,), "first: s1.read second: p.send p.send", "loop.close", "s1.read s1.read")
    for history in single_stops(scenario).histories:
        got = [event.value for event in history if event.what == "return" and isinstance(event.value, int)]
        assert got == sorted(got), history


TWO_THREADS_TRACED = pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="CPython 3.12 crashes where two threads trace instructions of the same code"
)


@TWO_THREADS_TRACED
@pytest.mark.parametrize("name", PAIRS)
def test_no_two_instructions_are_bad_ones_to_be_stopped_at(name: str) -> None:
    """Nor does it matter if the second thread is stopped too, and the first one goes on (CH-6.1)."""
    scenario, fewest = PAIRS[name]
    assert windows(scenario).trials > fewest, "hardly any two instructions were stopped at"


@TWO_THREADS_TRACED
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", LONGER_PAIRS)
def test_no_two_instructions_of_a_longer_pair_are_bad_ones_either(name: str) -> None:
    """The same of pairs of operations that have more instructions (CH-6.1)."""
    scenario, fewest = LONGER_PAIRS[name]
    assert windows(scenario).trials > fewest, "hardly any two instructions were stopped at"


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", STATES)
def test_every_operation_beside_every_other(name: str) -> None:
    """Each operation is stopped at each instruction that others may notice, and each other one runs there (CH-6.1)."""
    sizes, before = STATES[name]
    swept = [
        single_stops(Scenario(sizes, before, first, second, 2), SHARED)
        for first, second in product(OPERATIONS, repeat=2)
    ]
    assert sum(each.trials for each in swept) > 2000, "hardly any instruction was stopped at"
    assert sum(len(each.histories) for each in swept) > 150, "hardly anything depends on where a thread is stopped"


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", SCENARIOS)
def test_other_threads_notice_nothing_of_the_instructions_left_out(name: str) -> None:
    """Stopping at each instruction shows the same histories as stopping at those that touch shared state."""
    every, shared = single_stops(SCENARIOS[name]), single_stops(SCENARIOS[name], SHARED)
    assert every.trials > 1.5 * shared.trials, "hardly any instruction was left out"
    assert every.histories == shared.histories


def test_nearly_every_line_is_stopped_at() -> None:
    """The scenarios lead through the code: few lines are left, and those of interrupts and finalizers have tests of their own."""
    stopped_at = {line for scenario in SCENARIOS.values() for line in lines_of(scenario)}
    parts: tuple[Any, ...] = (
        Publisher.send, Subscriber.read, Channel.subscribe, Channel.connect, Channel.close,
        *(each for each in vars(_core.Core).values() if inspect.isfunction(each) and each.__name__ != "__init__"),
    )  # fmt: skip
    there = {
        (part.__qualname__, line)
        for part in parts
        for _, _, line in part.__code__.co_lines()
        if line and line != part.__code__.co_firstlineno
    }
    assert len(there) > 100
    assert not {name for name, _ in there} - {name for name, _ in stopped_at}
    assert len(there & stopped_at) > 0.85 * len(there), sorted(there - stopped_at)


class Defect(NamedTuple):
    """A function with a defect: each text is replaced by another one, where it first stands; and a scenario that shows it."""

    scenario: str
    owner: type
    function: str
    changes: tuple[tuple[str, str], ...]


DEFECTS = {
    "an unbounded buffer counts as full when it is empty": Defect(
        "a commit goes round",
        _core.Core,
        "commit",
        (
            (
                "buffer.messages.append(message)",
                "buffer.messages.append(message); len(buffer.messages) or self.bounded.setdefault(buffer)",
            ),
        ),
    ),
    "a send takes no lock": Defect(
        "a commit goes round",
        Publisher,
        "send",
        (("lock.acquire()", "pass"), ("lock.release()", "pass")),
    ),
    "a send checks and commits under two holds of the lock": Defect(
        "closing beside a send",
        Publisher,
        "send",
        (("not core.sends and", "not core.sends and (lock.release(), lock.acquire()) and"),),
    ),
    "a subscribe takes no lock": Defect(
        "a send beside one who joins", Channel, "subscribe", (("with self._core.lock:", "if True:"),)
    ),
    "a read looks for waiting sends before it takes its message": Defect(
        "two reads and sends that fill it again",
        Subscriber,
        "read",
        (
            ("message = messages", "looked = bool(core.sends); message = messages"),
            ("if core.sends:", "if looked:"),
        ),
    ),
    "a send joins the line and does not look for room again": Defect(
        "one of two full buffers is read beside a send",
        _core.Core,
        "line_up_send",
        (("self.commit_waiting()", "pass"),),
    ),
    "a close takes no lock": Defect(
        "a publisher closes beside the sends that it holds",
        channels._Endpoint,
        "close",
        (("at_once(self._core, self._close)", "self._close()"),),
    ),
    "a message that is handed to a loop which closes is lost": Defect(
        "a message comes back to a read that waits on another loop",
        _core.Core,
        "_hand",
        (("wake(waiting, None, partial(when_free, self, self.take_back, buffer))", "wake(waiting, None)"),),
    ),
    "a read takes a message before the one that a closed loop has left": Defect(
        "a loop closes on which a read has been completed, and a message is behind",
        Subscriber,
        "read",
        (("if messages and not buffer.handed:", "if messages:"),),
    ),
    "a read that waits hears nothing of the message that a closed loop has left": Defect(
        "a loop closes on which a read has been completed, and another one waits",
        _core.Core,
        "_move",
        (("tell_if_lost(waiting, partial(when_free, self, self.take_back, buffer))", "pass"),),
    ),
    "a task is woken on the wrong loop": Defect(
        "two full buffers",
        _core.Core,
        "commit_waiting",
        (("wake(waiting, _get_running_loop())", "waiting.set_result(None)"),),
    ),
}

# Of two reads the last one looks for waiting sends; each may believe that the other one is the last.
NEEDS_TWO = Defect(
    "",
    Subscriber,
    "read",
    (
        ("message = messages", "core.reads = getattr(core, 'reads', 0) + 1; message = messages"),
        ("if core.sends:", "last = core.reads == 1; core.reads -= 1\n                if last and core.sends:"),
    ),
)  # fmt: skip


def plant(monkeypatch: pytest.MonkeyPatch, defect: Defect) -> None:
    function = vars(defect.owner)[defect.function]
    source = inspect.getsource(function)
    for old, new in defect.changes:
        assert old in source, f"{function.__qualname__} has no {old!r} any more: plant the defect anew"
        source = source.replace(old, new, 1)
    names: dict[str, Any] = {}
    code = compile(f"if True:\n{source}", function.__code__.co_filename, "exec", __future__.annotations.compiler_flag)
    exec(code, function.__globals__, names)
    monkeypatch.setattr(defect.owner, defect.function, names[defect.function])


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some instruction is a bad one to be stopped at, and is found for certain (CH-6.1)."""
    plant(monkeypatch, DEFECTS[name])
    with pytest.raises(Refused):
        single_stops(SCENARIOS[DEFECTS[name].scenario], SHARED)


@TWO_THREADS_TRACED
def test_some_defects_need_two_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two reads that leave the work to each other, no single instruction is a bad one, but two are (CH-3.4, CH-6.1)."""
    plant(monkeypatch, NEEDS_TWO)
    scenario = LONGER_PAIRS["two reads, and a send that waits"][0]
    single_stops(scenario)
    with pytest.raises(Refused):
        windows(scenario)


def test_statistics_are_of_one_instant() -> None:
    """`statistics()` describes one instant, even if subscribers are read while it counts (CH-7.3)."""

    async def fill() -> tuple[Channel[int], Publisher[int], list[Subscriber[int]]]:
        channel = Channel[int]()
        subscribers = [await channel.subscribe() for _ in range(2)]
        publisher = await channel.connect()
        await publisher.send(1)
        return channel, publisher, subscribers

    seen = set()
    for instruction in count(1):
        channel, _publisher, subscribers = asyncio.run(fill())
        with Stop(instruction, partial(read_both, *subscribers)) as stop:
            statistics = channel.statistics()
        seen.add(tuple(subscriber.buffered for subscriber in statistics.subscribers))
        asyncio.run(channel.close())
        if not stop.happened:
            break
    assert seen == {(1, 1), (0, 0)}


def read_both(*subscribers: Subscriber[int]) -> None:
    for subscriber in subscribers:
        with pytest.raises(StopIteration):
            subscriber.read().send(None)


class Snatched(deque[int]):
    """A deque whose first message is taken by another thread in the middle of a read."""

    def popleft(self) -> int:
        if 1 in self:
            self.remove(1)
        return super().popleft()


async def test_a_read_that_is_outrun_waits_for_the_next_message() -> None:
    """A read that finds a message, but loses it to another thread, waits in line for the next (CH-4.4)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        subscriber._buffer.messages = Snatched()
        await publisher.send(1)
        reading = asyncio.ensure_future(subscriber.read())
        await settle()
        assert not reading.done()
        await publisher.send(2)
        assert await ended(reading) == 2


async def test_a_read_that_is_outrun_with_the_lock_held_waits_for_the_next_message() -> None:
    """The same beside a read that has its message and has not run yet, where each looks with the lock held (CH-4.4)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        before = asyncio.ensure_future(subscriber.read())
        await settle()
        await publisher.send(0)
        subscriber._buffer.messages = Snatched()
        await publisher.send(1)
        outrun = subscriber.read()
        outrun.send(None)
        assert channel.statistics().subscribers[0].reads_waiting == 1
        outrun.close()
        assert await ended(before) == 0
