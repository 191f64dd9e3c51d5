"""Nothing that users do locks up a channel: reprs, copies, forks, interrupts, and finalizers at the wrong moment."""

import asyncio
import copy
import dataclasses
import gc
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from settling import ended, settle

from aioservicekit import Channel, ChannelClosedError, ChannelState, Publisher, Subscriber, _core, _runtime

PATIENCE = 300.0  # seconds until something counts as hanging


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Collect what was raised where nobody can catch it."""
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda hooked: seen.append(hooked.exc_value))
    yield seen
    gc.collect()
    assert seen == []


def in_a_thread(work: Callable[[], object]) -> None:
    """Do something that may hang; fail if it does."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it hangs"
    for error in errors:
        raise error


def run_program(program: str) -> None:
    """Run a program in a child process, which must end by itself and print `done`."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


class Talkative(Channel[int]):
    """A subclass whose `repr()` uses the channel."""

    def __repr__(self) -> str:
        return f"<{self.statistics()}>"


def test_no_repr_is_made_with_the_lock_held() -> None:
    """A channel whose `repr()` takes the lock still gets its errors and warnings (CH-2.1, CH-3.7, CH-7.2)."""

    async def use() -> None:
        channel = Talkative()
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        forgotten = await channel.connect()
        with pytest.warns(ResourceWarning, match="sends_waiting=0"):
            del forgotten
        await channel.close()
        for operation in (publisher.send(1), subscriber.read(), channel.connect()):
            with pytest.raises(ChannelClosedError):
                await operation

    in_a_thread(lambda: asyncio.run(use()))


def test_a_repr_is_made_while_endpoints_come_and_go() -> None:
    """`repr()` takes no lock, and endpoints may join and leave meanwhile (CH-7.3)."""
    channel = Channel[int]()
    done = threading.Event()

    async def come_and_go() -> None:
        for _ in range(2_000):
            await (await channel.subscribe()).close()
        done.set()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread = threading.Thread(target=lambda: asyncio.run(come_and_go()), daemon=True)
        thread.start()
        while not done.is_set():
            assert "initiation" in repr(channel)
        thread.join(PATIENCE)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("what", ["channel", "publisher", "subscriber"])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
async def test_copies_are_refused(what: str, duplicate: Callable[[object], object], unraisable: list[object]) -> None:
    """A copy would share buffers, and close the original when it is collected. So copying raises an error that says why."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        with pytest.raises(TypeError, match="can't be copied or pickled"):
            duplicate({"channel": channel, "publisher": publisher, "subscriber": subscriber}[what])
        assert channel.statistics().publishers == len(channel.statistics().subscribers) == 1


async def test_a_dataclass_that_holds_an_endpoint(unraisable: list[object]) -> None:
    """`dataclasses.asdict` copies what it finds, and gets the same error."""

    @dataclasses.dataclass
    class Holder:
        publisher: Publisher[int]

    async with Channel[int]() as channel, await channel.connect() as publisher:
        with pytest.raises(TypeError, match="can't be copied or pickled"):
            dataclasses.asdict(Holder(publisher))


@pytest.mark.parametrize("make", [Publisher, Subscriber])
def test_an_endpoint_made_by_hand(make: Callable[..., object], unraisable: list[object]) -> None:
    """An endpoint whose `__init__` failed has nothing to close."""
    with pytest.raises(TypeError, match="missing"):
        make()


@pytest.mark.parametrize("name", [1, b"name", ["name"]])
async def test_bad_names_are_refused(name: Any) -> None:
    """A name is a str; anything else is refused with its value, and nothing joins."""
    with pytest.raises(TypeError, match=f"name must be a str or None, not {name!r}".replace("[", r"\[")):
        Channel[int](name=name)
    channel = Channel[int]()
    with pytest.raises(TypeError, match="name must be a str or None"):
        await channel.subscribe(name=name)
    assert channel.statistics().subscribers == ()


async def test_names_tell_which_one(unraisable: list[object]) -> None:
    """The names of a channel and its subscribers appear in `repr()`, statistics, errors and warnings (CH-7.2, CH-7.3)."""
    channel = Channel[int](1, name="orders")
    publisher, slow = await channel.connect(), await channel.subscribe(name="slow")
    await publisher.send(1)
    assert channel.name == "orders"
    assert repr(channel) == "<Channel 'orders' open: 1 publishers, 1 subscribers (1 full), 0 sends waiting>"
    assert repr(slow).startswith("<subscriber 'slow' at 0x")
    assert channel.statistics().name == "orders"
    assert [(s.name, s.buffered, s.buffer_size) for s in channel.statistics().subscribers] == [("slow", 1, 1)]
    with pytest.warns(ResourceWarning, match="<subscriber 'slow' at .* was forgotten while connected"):
        del slow
    with pytest.raises(ChannelClosedError, match="channel 'orders' is closed: its last subscriber has closed"):
        await publisher.send(2)


CLOSINGS = {
    "the channel's close()": "channel is closed: its close() was called",
    "the last publisher": "channel is closed: its last publisher has closed",
    "the last subscriber": "channel is closed: its last subscriber has closed",
}


@pytest.mark.parametrize("closing", CLOSINGS)
async def test_an_error_says_which_close_it_was(closing: str) -> None:
    """`ChannelClosedError` names the close that ended the channel, and the first one counts (CH-2.1, CH-3.7, CH-4.2)."""
    channel = Channel[int]()
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    await {"the last publisher": publisher, "the last subscriber": subscriber}.get(closing, channel).close()
    await channel.close()
    own = {"the last publisher": publisher, "the last subscriber": subscriber}.get(closing)
    for endpoint, operation in (
        (publisher, publisher.send(1)),
        (subscriber, subscriber.read()),
        (None, channel.connect()),
    ):
        text = "its close() was called" if own is not None and endpoint is own else CLOSINGS[closing]
        with pytest.raises(ChannelClosedError, match=text.replace("(", r"\(").replace(")", r"\)")):
            await operation


async def test_an_endpoint_closed_by_hand_says_so() -> None:
    """The error of an endpoint that was closed by itself names that close, not its channel's (CH-3.7, CH-4.2)."""
    async with Channel[int]() as channel, await channel.connect(), await channel.subscribe():
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        await publisher.close()
        await subscriber.close()
        with pytest.raises(ChannelClosedError, match=r"the message was not sent: its close\(\) was called"):
            await publisher.send(1)
        with pytest.raises(ChannelClosedError, match=r"nothing left to read: its close\(\) was called"):
            await subscriber.read()


INTERRUPTED = """
import asyncio, random, signal
from aioservicekit import Channel, ChannelClosedError

random.seed(0)
interrupted = False

def interrupt(*_):
    global interrupted
    interrupted = True
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)

async def use(channel):
    async def send(publisher):
        while True:
            await publisher.send(None)
            await asyncio.sleep(0)

    async def read(subscriber):
        while True:
            await subscriber.read()

    one, two = await channel.subscribe(), await channel.subscribe(buffer_size=1)
    publisher = await channel.connect()
    for work in (send(publisher), send(publisher), read(one), read(two), read(two)):
        asyncio.create_task(work)._log_destroy_pending = False
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 1e-3))
    while not interrupted:  # a finalizer may have swallowed it
        await asyncio.sleep(0)

def at_once(operation):
    try:
        operation.send(None)
    except StopIteration:
        return

for _ in range(300):
    channel, loop, interrupted = Channel(4), asyncio.new_event_loop(), False
    main = loop.create_task(use(channel))
    main._log_destroy_pending = False
    try:
        loop.run_until_complete(main)
    except KeyboardInterrupt:
        pass
    assert not channel._core.lock._is_owned()
    at_once(channel.close())
    try:
        at_once(channel.connect())
        raise AssertionError("it is not closed")
    except ChannelClosedError:
        pass
    loop.close()
print("done")
"""


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="this system has no interval timers")
def test_an_interrupt_leaves_no_lock_held() -> None:
    """A `KeyboardInterrupt` at any instant leaves a channel that can still be used and closed (CH-3.7)."""
    run_program(INTERRUPTED)


class InterruptedLock:
    """A lock whose `acquire` is interrupted the first time, before or after it has acquired the lock."""

    def __init__(self, acquires: bool) -> None:
        self._lock: Any = _runtime.new_lock()
        self._acquires = acquires
        self._interrupted = False
        self._is_owned = self._lock._is_owned
        self.release = self._lock.release

    def acquire(self, blocking: bool = True) -> bool:
        if self._interrupted or self._acquires:
            acquired: bool = self._lock.acquire(blocking)
        if not self._interrupted:
            self._interrupted = True
            raise KeyboardInterrupt
        return acquired

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


@pytest.mark.parametrize("acquires", [False, True])
async def test_a_send_that_is_interrupted_as_it_takes_the_lock(acquires: bool) -> None:
    """A `KeyboardInterrupt` right before or after the lock is acquired: nothing is sent, and the lock is free (CH-3.7)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        channel._core.lock = InterruptedLock(acquires)
        with pytest.raises(KeyboardInterrupt):
            publisher.send(1).send(None)
        assert not channel._core.lock._is_owned()
        await publisher.send(2)
        assert await subscriber.read() == 2


@pytest.mark.parametrize("acquires", [False, True])
def test_a_finalizer_that_is_interrupted_as_it_takes_the_lock(acquires: bool) -> None:
    """The same where the lock is taken if it is free: it is free afterwards, and a thread makes the change (CH-7.2)."""

    made, owner = threading.Event(), SimpleNamespace(lock=InterruptedLock(acquires))
    with pytest.raises(KeyboardInterrupt):
        _runtime.when_free(owner, made.set)
    assert not owner.lock._is_owned()
    assert made.wait(PATIENCE)


async def test_a_deep_recursion_leaves_no_lock_held() -> None:
    """A send that is called too deep raises `RecursionError`, and the lock is free (CH-3.7)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe():

        async def nested(depth: int) -> None:
            if depth:
                await nested(depth - 1)
            else:
                await publisher.send(1)

        refused = 0
        for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit()):
            try:
                await nested(depth)
            except RecursionError:
                refused += 1
            assert not channel._core.lock._is_owned()
        assert refused


class Once:
    """Calls a function, and is interrupted the first time, before or after the call."""

    def __init__(self, function: Callable[..., Any], calls: bool) -> None:
        self._function = function
        self._calls = calls
        self._interrupted = False

    def __call__(self, *arguments: Any) -> Any:
        if self._interrupted:
            return self._function(*arguments)
        self._interrupted = True
        if self._calls:
            self._function(*arguments)
        raise KeyboardInterrupt


@pytest.mark.parametrize("calls", [False, True])
@pytest.mark.parametrize("closes", ["channel", "publisher", "subscriber"])
async def test_a_close_that_is_interrupted_is_finished_by_the_next(
    closes: str, calls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `KeyboardInterrupt` while a close wakes those who wait loses none of them: closing again wakes the others (CH-5.2)."""
    channel = Channel[int]()
    publisher, _other = await channel.connect(), await channel.connect()
    full, subscriber = await channel.subscribe(buffer_size=1), await channel.subscribe()
    async with channel:
        await publisher.send(1)
        await subscriber.read()
        sends = [asyncio.ensure_future(publisher.send(number)) for number in (2, 3)]
        reads = [asyncio.ensure_future(subscriber.read()) for _ in range(2)]
        await settle()
        end = {"channel": channel, "publisher": publisher, "subscriber": subscriber}[closes]
        monkeypatch.setattr(_core, "wake", Once(_runtime.wake, calls))
        with pytest.raises(KeyboardInterrupt):
            end.close().send(None)
        await end.close()
        await settle()
        over = {"channel": [*sends, *reads], "publisher": sends, "subscriber": reads}[closes]
        assert [task for task in (*sends, *reads) if task.done()] == over
        assert all(isinstance(task.exception(), ChannelClosedError) for task in over)
    for task in (*sends, *reads):
        with pytest.raises(ChannelClosedError):
            await task
    assert await full.read() == 1


@pytest.mark.parametrize("calls", [False, True])
async def test_a_read_that_is_interrupted_as_it_wakes_a_send(calls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next read wakes the send that has committed, which does not commit again (CH-3.4)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe(buffer_size=1) as subscriber:
        await publisher.send(1)
        sends = [asyncio.ensure_future(publisher.send(number)) for number in (2, 3)]
        await settle()
        monkeypatch.setattr(_core, "wake", Once(_runtime.wake, calls))
        with pytest.raises(KeyboardInterrupt):
            subscriber.read().send(None)
        assert [await subscriber.read(), await subscriber.read()] == [2, 3]
        await asyncio.gather(*sends)


class InterruptedDict(dict[Any, Any]):
    """It is interrupted once, right after it has stored something."""

    interrupted = False

    def __setitem__(self, key: object, value: object) -> None:
        super().__setitem__(key, value)
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt


async def test_a_send_that_is_interrupted_as_it_hands_its_message_over() -> None:
    """A read whose message comes from a send that was interrupted stays in line: the next send completes it (CH-4.6)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        reading = asyncio.ensure_future(subscriber.read())
        await settle()
        subscriber._buffer.handed = InterruptedDict()
        with pytest.raises(KeyboardInterrupt):
            publisher.send(1).send(None)
        await publisher.send(2)
        assert await ended(reading) == 2


FORKED = """
import asyncio, os, threading
from aioservicekit import Channel

channel, free = Channel(), Channel()
held, release = threading.Event(), threading.Event()

def hold():
    with channel._core.lock:
        held.set()
        release.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    release.set()
    thread.join()
    assert channel.statistics().publishers == 0
    assert status == 0, status
    print("done")
else:
    try:
        channel.statistics()
    except RuntimeError as error:
        assert "forked while another thread was using it" in str(error)
        async def use():
            async with free, await free.connect() as publisher, await free.subscribe() as subscriber:
                await publisher.send(1)
                return await subscriber.read()
        os._exit(0 if asyncio.run(use()) == 1 else 2)
    os._exit(1)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_a_fork_while_another_thread_uses_a_channel() -> None:
    """In the child, such a channel raises an error that says so, and other channels work."""
    run_program(FORKED)


def test_an_interrupted_wait_leaves_the_line(unraisable: list[object]) -> None:
    """What a signal handler raises takes a waiting operation out of its line, and costs no message (CH-3.7)."""

    class Interrupt(BaseException):
        pass

    async def use() -> None:
        async with Channel[int](1) as channel:
            publisher, subscriber = await channel.connect(), await channel.subscribe()
            reading = subscriber.read()
            reading.send(None)
            await publisher.send(1)
            with pytest.raises(Interrupt):
                reading.throw(Interrupt())
            assert channel.statistics().subscribers[0].buffered == 1
            sending = publisher.send(2)
            sending.send(None)
            with pytest.raises(Interrupt):
                sending.throw(Interrupt())
            assert channel.statistics().sends_waiting == 0
            assert await subscriber.read() == 1

    asyncio.run(use())


async def test_a_name_brings_no_code_along() -> None:
    """The `repr()` of a str subclass that uses the channel is never called while the lock is held (CH-2.1)."""

    class Name(str):
        __slots__ = ()

        def __repr__(self) -> str:
            raise AssertionError("it is called")

    channel = Channel[int](name=Name("orders"))
    await channel.close()
    with pytest.raises(ChannelClosedError, match="channel 'orders' is closed"):
        await channel.connect()
    assert type(channel.name) is str


def test_properties_of_subclasses_are_not_used_with_the_lock_held() -> None:
    """A subclass whose `name` and `state` use the channel still gets its errors and statistics (CH-3.7, CH-7.3)."""

    class Counting(Channel[int]):
        @property
        def name(self) -> str:
            return f"with {self.statistics().publishers} publishers"

        @property
        def state(self) -> ChannelState:
            return self.statistics().state

    async def use() -> None:
        channel = Counting()
        publisher = await channel.connect()
        await publisher.close()
        with pytest.raises(ChannelClosedError):
            await publisher.send(1)
        assert channel.state is ChannelState.initiation

    in_a_thread(lambda: asyncio.run(use()))


FORGOTTEN = """
import asyncio, gc
from aioservicekit import Channel

channel = Channel(1)

async def forgotten():
    async with await channel.subscribe(buffer_size=0), await channel.connect():
        await asyncio.get_running_loop().create_future()  # nobody else has it: the collector closes the coroutine

async def main():
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    subscriber, publisher = await channel.subscribe(), await channel.connect()
    gc.set_threshold(50)
    for number in range(2_000):
        asyncio.create_task(forgotten())
        sends = [asyncio.create_task(publisher.send(number)) for _ in range(2)]
        assert [await subscriber.read(), await subscriber.read()] == [number, number]
        await asyncio.gather(*sends)

asyncio.run(main())
print("done")
"""


def test_the_collector_closes_what_stands_in_a_block_amid_a_change() -> None:
    """If a forgotten `async with` is closed by the collector while the lock is held, its endpoint closes later (CH-5.4)."""
    run_program(FORGOTTEN)


def test_a_close_amid_a_change_of_the_same_thread() -> None:
    """Another thread makes the change as soon as the current one is done, and does not wait for itself (CH-5.1)."""

    async def use() -> None:
        channel = Channel[int]()
        publisher, subscriber = await channel.connect(), await channel.subscribe()
        before = set(threading.enumerate())
        with channel._core.lock:
            await publisher.close()
            await channel.close()
            assert channel.statistics().publishers == 1
        for thread in set(threading.enumerate()) - before:
            thread.join(PATIENCE)
        assert channel.state is ChannelState.closed
        with pytest.raises(ChannelClosedError):
            await subscriber.read()

    in_a_thread(lambda: asyncio.run(use()))


async def test_an_interrupt_between_a_read_and_the_send_that_it_makes_room_for() -> None:
    """The next read lets go of what an interrupted read has not let go, before it waits (CH-3.4, CH-3.7)."""
    async with (
        Channel[int](1) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        await publisher.send(1)
        sending = asyncio.ensure_future(publisher.send(2))
        await asyncio.sleep(0)
        assert subscriber._buffer.messages.popleft() == 1  # as far as the interrupted read got
        assert await subscriber.read() == 2
        await sending


async def test_nothing_is_changed_as_the_interpreter_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finalizer at interpreter exit starts no thread: it would never run, and the exit would wait for it (CH-7.2)."""
    async with Channel[int]() as channel, await channel.subscribe(), await channel.subscribe() as subscriber:
        with channel._core.lock, monkeypatch.context() as patched:
            patched.setattr("sys.is_finalizing", lambda: True)
            patched.setattr("threading.Thread", None)
            await subscriber.close()
        assert len(channel.statistics().subscribers) == 2


async def test_a_channel_whose_lock_was_lost_in_a_fork() -> None:
    """Each use of the channel raises an error that says so; endpoints are forgotten silently."""
    channel = Channel[int]()
    endpoint = await channel.subscribe()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with channel._core.lock:
            held.set()
            release.wait(PATIENCE)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    held.wait(PATIENCE)
    other = Channel[int]()
    _runtime._after_fork_in_child()
    release.set()
    thread.join(PATIENCE)
    for use in (channel.statistics, channel._core.lock.acquire):
        with pytest.raises(RuntimeError, match="forked while another thread was using it"):
            use()
    with pytest.raises(RuntimeError, match="forked"):
        await endpoint.close()
    assert other.statistics().publishers == 0
    with pytest.warns(ResourceWarning):
        del endpoint
