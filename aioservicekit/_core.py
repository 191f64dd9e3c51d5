"""The core of a channel: its state, and which waiting operations each change of it completes. Nothing here ever waits.

    publisher.send(m) ──┐                              ┌─> [ m3 m2 m1 ] ──> read()    a subscriber of size 3: full
    publisher.send(n) ──┼─> line of sends ── commit ───┼─> [ ...m3 m2 ] ──> read()    size 0: unbounded, never full
    publisher.send(o) ──┘   (first come, first served) └─> [          ] ──> line of reads ──> read()

WHOEVER MAKES AN OPERATION POSSIBLE COMPLETES IT. Whoever makes room commits the sends that wait, in their order, as far as
there is room. Whoever commits hands the message to the read that has waited longest. So no operation has to run for another
one to go on, and a cancelled task, a blocked thread or a loop that is gone holds nobody up.

INVARIANTS, which hold whenever the lock is free:
 1. A message enters all connected buffers at one instant, the commit, or none.
 2. If a send waits, some connected buffer is full, or the read that has just made room is about to commit the send.
    If a read waits, its buffer is connected and empty.
 3. `full` names every connected buffer that is full. It may name others: a read takes no lock, so `commit` drops these when
    it next looks.
 4. A closed channel has no endpoints and no waiting operations.

NO LOCK for a read that finds a message: to take it out is one step of the interpreter's. Reads may empty a buffer at any time;
only the holder of the lock fills one. So whoever holds it may trust "empty", and must not trust "full". A send joins the
line and then looks for room; a read takes its message and then looks for sends that wait: whichever comes second sees the
other.

The lock is held for one change of state and never across an `await`. Each id is that of a rule in specs/channel.md, and stands
at the line that keeps it.
"""

import asyncio
from asyncio import _get_running_loop
from collections import OrderedDict, deque
from functools import partial
from sys import maxsize
from typing import Generic, TypeVar

from ._runtime import Waiting, mind_forks, new_lock, tell_if_lost, wake, when_free

__all__ = ["Buffer", "Core", "Send"]

_T = TypeVar("_T")


class Buffer(Generic[_T]):
    """What one subscriber has yet to read, and the line of its reads (CH-4.4). It is connected while its channel has it.

    Attributes:
        capacity: how many messages it may hold.
        handed: the messages of reads that have been completed, and whose tasks have not run since.
        home: the event loop on which these and the reads in line wait, or None if there are several. With one loop alone,
            what is handed there needs no guard: if the loop closes, the next read finds it.
    """

    __slots__ = ("capacity", "handed", "home", "messages", "name", "reads", "size")

    def __init__(self, size: int, name: str | None) -> None:
        self.size: int = size
        self.capacity: int = size or maxsize
        self.name: str | None = name
        self.messages: deque[_T] = deque()
        self.reads: deque[Waiting] = deque()
        self.handed: dict[Waiting, _T] = {}
        self.home: asyncio.AbstractEventLoop | None = None

    @property
    def is_full(self) -> bool:
        return len(self.messages) >= self.capacity


class Send(Generic[_T]):
    """A send that waits, or that has been completed and whose task has not run since."""

    __slots__ = ("committed", "message", "publisher")

    def __init__(self, publisher: object, message: _T) -> None:
        self.publisher = publisher
        self.message = message
        self.committed = False


class Core(Generic[_T]):
    """A channel's state. It is changed with the lock held.

    Attributes:
        why_closed: empty until the channel closes.
        publishers: a token of each; the core knows no endpoint, so that one that is forgotten can be collected (CH-7.2).
        sends: the line of sends.
    """

    def __init__(self) -> None:
        self.lock = new_lock()  # CH-6.1
        mind_forks(self)
        self.opened = False  # CH-1.1
        self.why_closed = ""
        self.publishers: set[object] = set()
        self.buffers: dict[Buffer[_T], None] = {}
        self.full: list[Buffer[_T]] = []
        self.sends: OrderedDict[Waiting, Send[_T]] = OrderedDict()

    # Joining and leaving

    def connect(self, publisher: object) -> None:
        self.publishers.add(publisher)
        self.opened = self.opened or bool(self.buffers)  # CH-1.2

    def subscribe(self, buffer: Buffer[_T]) -> None:
        self.buffers[buffer] = None  # CH-2.4
        self.opened = self.opened or bool(self.publishers)  # CH-1.2

    def disconnect(self, publisher: object) -> None:
        if publisher in self.publishers:
            self.publishers.remove(publisher)  # CH-7.1
            self._fail([waiting for waiting, send in self.sends.items() if send.publisher is publisher])  # CH-5.2
            if self.opened and not self.publishers:
                self.close("its last publisher has closed")  # CH-1.3, and not before it opens: CH-1.5

    def unsubscribe(self, buffer: Buffer[_T]) -> None:
        if buffer in self.buffers:
            del self.buffers[buffer]  # CH-5.3, CH-7.1
            if buffer in self.full:
                self.full.remove(buffer)
            self._end_reads(buffer)
            if self.opened and not self.buffers:
                self.close("its last subscriber has closed")  # CH-1.3, CH-1.5
            self.commit_waiting()

    def close(self, why: str) -> None:
        self.why_closed = self.why_closed or why  # CH-1.4, CH-1.7
        self.publishers.clear()  # CH-1.6
        self._fail(list(self.sends))
        for buffer in self.buffers:
            self._end_reads(buffer)
        self.buffers.clear()
        self.full.clear()

    def _fail(self, sends: list[Waiting]) -> None:
        for waiting in sends:
            del self.sends[waiting]
            wake(waiting, _get_running_loop())  # it finds that it was not committed (CH-3.7)

    def _end_reads(self, buffer: Buffer[_T]) -> None:
        while buffer.reads:
            wake(buffer.reads.popleft(), _get_running_loop())  # it finds that it was handed nothing (CH-4.3)

    # Sending

    def commit(self, message: _T) -> bool:
        """Put a message into every connected buffer at one instant; False if one of them is full."""
        full = self.full
        while full:
            buffer = full[-1]
            if len(buffer.messages) >= buffer.capacity:
                return False  # CH-3.2
            full.pop()  # it has been read since
        running = None
        for buffer in self.buffers:  # CH-3.1, CH-3.6: all under one hold of the lock; CH-3.3: there may be none
            if buffer.reads:
                running = running or _get_running_loop()
                if self._hand(buffer, message, running):
                    continue
            messages = buffer.messages
            messages.append(message)
            if len(messages) >= buffer.capacity:
                full.append(buffer)
        return True

    def commit_waiting(self) -> None:
        """Commit the sends that wait, in their order, as far as there is room."""
        while self.sends:
            waiting, send = next(iter(self.sends.items()))  # CH-3.5
            alive = not (waiting.done() or waiting.get_loop().is_closed())  # CH-3.8, CH-6.3
            if alive and not send.committed:
                send.committed = True  # CH-3.4; noted first, so that after an interrupt nobody commits it once more
                send.committed = self.commit(send.message)
                if not send.committed:
                    return
            del self.sends[waiting]
            if alive:
                wake(waiting, _get_running_loop())

    def abandon_send(self, waiting: Waiting) -> None:
        """Take a send out of the line."""
        self.sends.pop(waiting, None)

    # Reading

    def _hand(self, buffer: Buffer[_T], message: _T, running: asyncio.AbstractEventLoop | None) -> bool:
        """Complete the read that has waited longest with a message; False if none waits."""
        while buffer.reads:
            waiting = buffer.reads.popleft()  # CH-4.4
            if waiting.done():
                continue  # cancelled (CH-4.5)
            buffer.handed[waiting] = message  # CH-4.6
            if running and buffer.home is running:
                waiting.set_result(None)
                return True
            if wake(waiting, None, partial(when_free, self, self.take_back, buffer)):
                return True
            buffer.handed.pop(waiting, None)  # its loop is gone (CH-6.3)
        return False

    def move(self, buffer: Buffer[_T], loop: asyncio.AbstractEventLoop) -> None:
        """Note that a read is about to wait on another loop than `home`: what was handed without a guard gets one."""
        if not (buffer.reads or buffer.handed):
            buffer.home = loop
        elif buffer.home is not None:
            buffer.home = None
            for waiting in list(buffer.handed):
                tell_if_lost(waiting, partial(when_free, self, self.take_back, buffer))

    def settle(self, buffer: Buffer[_T]) -> None:
        """Finish what a loop that has closed, or an interrupt, has left undone, before a read looks at its buffer."""
        if buffer.home is None or buffer.home.is_closed():
            self.take_back(buffer)
        self.commit_waiting()

    def take_back(self, buffer: Buffer[_T]) -> None:
        """Put back what was handed to reads whose loops have closed before they could run (CH-4.2, CH-6.3)."""
        gone = [waiting for waiting in list(buffer.handed) if waiting.get_loop().is_closed()]
        self._put_back(buffer, [buffer.handed.pop(waiting) for waiting in gone])

    def abandon_read(self, buffer: Buffer[_T], waiting: Waiting) -> None:
        """Take a read out of the line; what it has been handed goes to the next one (CH-4.5)."""
        if waiting in buffer.handed:
            self.take_back(buffer)  # all that its loop has left, if that is closed, in their order
        if waiting in buffer.handed:
            self._put_back(buffer, [buffer.handed.pop(waiting)])
        elif waiting in buffer.reads:
            buffer.reads.remove(waiting)

    def _put_back(self, buffer: Buffer[_T], messages: list[_T]) -> None:
        """Give messages to the reads that wait, and the rest to the buffer, as its oldest."""
        while messages and self._hand(buffer, messages[0], _get_running_loop()):
            messages.pop(0)
        buffer.messages.extendleft(reversed(messages))
        if buffer in self.buffers and buffer.is_full and buffer not in self.full:
            self.full.append(buffer)
