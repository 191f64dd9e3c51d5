"""The core of a channel: its state, and the waiting operations that each change completes. Nothing here ever waits.

    publisher.send(m) ──┐                              ┌─> [ m3 m2 m1 ] ──> read()    a subscriber of size 3: full
    publisher.send(n) ──┼─> line of sends ── commit ───┼─> [ ...m3 m2 ] ──> read()    size 0: unbounded, never full
    publisher.send(o) ──┘   (first come, first served) └─> [          ] ──> line of reads ──> read()

WHOEVER MAKES AN OPERATION POSSIBLE COMPLETES IT. Whoever makes room commits the waiting sends, in order, as long as there is
room. Whoever commits hands the message to the read that has waited longest. So no operation has to run before another can go
on, and a cancelled task, a blocked thread or a closed loop holds nobody up.

INVARIANTS, which hold whenever the lock is free:
 1. A message enters all connected buffers at one instant, the commit, or it enters none.
 2. If a send waits, some connected buffer is full, or the read that has just made room is about to commit the send.
    If a read waits, its buffer is connected and empty.
 3. A buffer in `full` is connected. It was full when a waiting send last found no room.
 4. A closed channel has no endpoints and no waiting operations.

A READ THAT FINDS A MESSAGE TAKES NO LOCK: `popleft` is atomic in the interpreter. Reads may empty a buffer at any time, but only
the holder of the lock fills one. So the holder may trust "empty", and must not trust "full". A send joins the line and then
looks for room. A read takes its message and then looks for waiting sends. Whichever comes second sees the other.

The lock is held for one change of state, and never across an `await`. A KeyboardInterrupt may break off a change. So an
operation leaves its line last, after it was woken: a later change finds it there, and wakes it again.

Each rule id refers to specs/channel.md, and is at the line that keeps the rule.
"""

import asyncio
from asyncio import _get_running_loop
from collections import OrderedDict, deque
from functools import partial
from typing import Any, Generic, TypeVar

from ._runtime import Waiting, hear_requests, mind_forks, new_lock, tell_if_lost, wake, when_free

__all__ = ["Buffer", "Core", "Send"]

_T = TypeVar("_T")


class Buffer(Generic[_T]):
    """A subscriber's unread messages, and its line of waiting reads (CH-4.4). A buffer is connected while its core holds it.

    Attributes:
        size: the number of messages that it may hold; 0 is unbounded.
        handed: messages handed to completed reads whose tasks have not run since.
        home: the event loop of these reads and of the waiting ones, or None if there are several loops. If a single loop
            closes, the next read takes back what was handed to its reads. Of several, a read on another one may wait
            already: so each of them tells (`tell_if_lost`).
    """

    __slots__ = ("handed", "home", "messages", "name", "reads", "size")

    def __init__(self, size: int, name: str | None) -> None:
        self.size: int = size
        self.name: str | None = name
        self.messages: deque[_T] = deque()
        self.reads: deque[Waiting] = deque()
        self.handed: dict[Waiting, _T] = {}
        self.home: asyncio.AbstractEventLoop | None = None

    @property
    def is_full(self) -> bool:
        return 0 < self.size <= len(self.messages)


class Send(Generic[_T]):
    """A send that waits, or a completed one whose task has not run since."""

    __slots__ = ("committed", "message", "publisher")

    def __init__(self, publisher: object, message: _T) -> None:
        self.publisher = publisher
        self.message = message
        self.committed = False


class Core(Generic[_T]):
    """A channel's state. Every change requires the lock; `line_up_…` take it themselves.

    Attributes:
        why_closed: empty until the channel closes.
        publishers: one token per publisher. The core refers to no endpoint, so a forgotten one can be collected (CH-7.2).
        bounded: those of the buffers that can be full.
        full: those that held a waiting send back, less those that were seen to have room since.
        sends: the line of waiting sends.
    """

    def __init__(self) -> None:
        self.lock = new_lock()  # CH-6.1
        mind_forks(self)
        self.opened = False  # CH-1.1
        self.why_closed = ""
        self.publishers: set[object] = set()
        self.buffers: dict[Buffer[_T], None] = {}
        self.bounded: dict[Buffer[_T], None] = {}
        self.full: list[Buffer[_T]] = []
        self.sends: OrderedDict[Waiting, Send[_T]] = OrderedDict()

    # Joining and leaving

    def connect(self, publisher: object) -> None:
        self.publishers.add(publisher)
        self.opened = self.opened or bool(self.buffers)  # CH-1.2

    def subscribe(self, buffer: Buffer[_T]) -> None:
        self.buffers[buffer] = None  # CH-2.4
        if buffer.size:
            self.bounded[buffer] = None
        self.opened = self.opened or bool(self.publishers)  # CH-1.2

    def disconnect(self, publisher: object) -> None:
        if publisher in self.publishers:
            self._fail([waiting for waiting, send in self.sends.items() if send.publisher is publisher])  # CH-5.2
            if self.opened and len(self.publishers) == 1:
                self.close("its last publisher has closed")  # CH-1.3, and not before it opens: CH-1.5
            self.publishers.discard(publisher)  # CH-7.1

    def unsubscribe(self, buffer: Buffer[_T]) -> None:
        if buffer in self.buffers:
            self._end_reads(buffer)
            if self.opened and len(self.buffers) == 1:
                self.close("its last subscriber has closed")  # CH-1.3, CH-1.5
            self.full.clear()
            self.bounded.pop(buffer, None)
            self.buffers.pop(buffer, None)  # CH-5.3, CH-7.1; last: after an interrupt, closing again does the rest
            self.commit_waiting()  # CH-5.3

    def close(self, why: str) -> None:
        self.why_closed = self.why_closed or why  # CH-1.4, CH-1.7
        self.publishers.clear()  # CH-1.6
        self._fail(list(self.sends))
        for buffer in self.buffers:
            self._end_reads(buffer)
        self.buffers.clear()
        self.bounded.clear()
        self.full.clear()

    def _fail(self, sends: list[Waiting]) -> None:
        for waiting in sends:
            wake(waiting, _get_running_loop())  # the send finds that it was not committed (CH-3.7)
            del self.sends[waiting]

    def _end_reads(self, buffer: Buffer[_T]) -> None:
        while buffer.reads:
            wake(buffer.reads[0], _get_running_loop())  # the read finds that it was handed nothing (CH-4.3)
            buffer.reads.popleft()

    # Sending

    def line_up_send(self, waiting: Waiting, send: Send[_T], task: asyncio.Task[Any] | None) -> int:
        """Put a send in line, or end it at once if its publisher is closed.

        Returns:
            The number of requests to cancel that the task has heard of (CH-3.9).

        Raises:
            CancelledError: a request is owed to the task; the send is not in line.
        """
        heard = 0
        with self.lock:
            if send.publisher in self.publishers:
                heard = hear_requests(task)
                self.sends[waiting] = send  # CH-3.5
                self.commit_waiting()  # a read may have made room before it could see this send
            else:
                waiting.set_result(None)  # CH-3.7
        return heard

    def commit(self, message: _T) -> bool:
        """Put a message into every connected buffer at one instant; False if one of them is full."""
        for buffer in self.bounded:
            if len(buffer.messages) >= buffer.size:
                return False  # CH-3.2
        running = None
        for buffer in self.buffers:  # CH-3.1, CH-3.6: all under one hold of the lock; CH-3.3: there may be none
            if buffer.reads:
                running = running or _get_running_loop()
                if self._hand(buffer, message, running):
                    continue
            buffer.messages.append(message)
        return True

    def commit_waiting(self) -> None:
        """Commit the waiting sends, in order, as long as there is room."""
        while self.sends and not self._is_any_full():  # CH-3.2
            waiting, send = next(iter(self.sends.items()))  # CH-3.5
            if not (waiting.done() or waiting.get_loop().is_closed()):  # CH-3.8, CH-6.3
                if not send.committed:
                    send.committed = True  # CH-3.4; first: after an interrupt nobody may commit it again
                    self.commit(send.message)  # which finds room, since only the holder of the lock fills a buffer
                wake(waiting, _get_running_loop())
            del self.sends[waiting]

    def _is_any_full(self) -> bool:
        """Whether any buffer is full. While sends wait, each read asks; so the last buffers that were full come first."""
        full = self.full
        while full:
            if full[-1].is_full:
                return True
            full.pop()
        for buffer in self.bounded:
            if buffer.is_full:
                full.append(buffer)
        return bool(full)

    def abandon_send(self, waiting: Waiting) -> None:
        """Take a send out of the line."""
        self.sends.pop(waiting, None)

    # Reading

    def line_up_read(self, waiting: Waiting, buffer: Buffer[_T], task: asyncio.Task[Any] | None) -> int:
        """Put a read in line, or end it at once: a message may have come by now, or the buffer is closed and empty.

        Returns:
            The number of requests to cancel that the task has heard of (CH-4.8).

        Raises:
            CancelledError: a request is owed to the task; the read is not in line.
        """
        heard = 0
        with self.lock:
            if self.sends or buffer.handed:
                self._settle(buffer)
            if buffer.messages and self._hand_oldest(waiting, buffer):
                self.commit_waiting()
            elif buffer in self.buffers:
                heard = hear_requests(task)
                if buffer.home is not waiting.get_loop():
                    self._move(buffer, waiting.get_loop())
                buffer.reads.append(waiting)  # CH-4.4
            else:
                waiting.set_result(None)  # CH-4.2
        return heard

    def _hand_oldest(self, waiting: Waiting, buffer: Buffer[_T]) -> bool:
        """Complete a read with the oldest message; False if that is gone."""
        try:
            buffer.handed[waiting] = buffer.messages.popleft()
        except IndexError:
            return False  # a read that takes no lock was faster
        waiting.set_result(None)
        return True

    def _hand(self, buffer: Buffer[_T], message: _T, running: asyncio.AbstractEventLoop | None) -> bool:
        """Complete the read that has waited longest with this message; False if no read waits."""
        reads = buffer.reads
        while reads:
            waiting = reads[0]  # CH-4.4
            if waiting.done():
                reads.popleft()  # cancelled (CH-4.5)
                continue
            buffer.handed[waiting] = message  # CH-4.6
            if running and buffer.home is running:
                waiting.set_result(None)
                reads.popleft()
                return True
            woken = wake(waiting, None, partial(when_free, self, self.take_back, buffer))
            reads.popleft()
            if woken or waiting not in buffer.handed:
                return True  # it may even have taken the message, before its loop closed
            del buffer.handed[waiting]  # its loop is gone (CH-6.3)
        return False

    def _move(self, buffer: Buffer[_T], loop: asyncio.AbstractEventLoop) -> None:
        """Note that a read is about to wait on a loop other than `home`. Now somebody must tell if a handed message is lost."""
        if not (buffer.reads or buffer.handed):
            buffer.home = loop
        elif buffer.home is not None:
            buffer.home = None
            for waiting in list(buffer.handed):
                tell_if_lost(waiting, partial(when_free, self, self.take_back, buffer))

    def _settle(self, buffer: Buffer[_T]) -> None:
        """Finish what a closed loop or an interrupt left undone, before a read looks at its buffer."""
        if buffer.home is None or buffer.home.is_closed():
            self.take_back(buffer)
        self.commit_waiting()

    def take_back(self, buffer: Buffer[_T]) -> None:
        """Put back messages handed to reads whose loops closed before the reads could run (CH-4.2, CH-6.3)."""
        handed = list(buffer.handed)
        loops = {waiting.get_loop() for waiting in handed}
        closed = {loop for loop in loops if loop.is_closed()}  # each is asked once: it may close meanwhile
        self._put_back(buffer, [waiting for waiting in handed if waiting.get_loop() in closed])

    def abandon_read(self, buffer: Buffer[_T], waiting: Waiting) -> None:
        """Take a read out of the line. If it was interrupted after a message was handed to it, the next read gets that (CH-4.5)."""
        if waiting in buffer.handed:
            self.take_back(buffer)  # if its loop is closed, every message that the loop left, in order
        if waiting in buffer.handed:
            self._put_back(buffer, [waiting])
        elif waiting in buffer.reads:
            buffer.reads.remove(waiting)

    def _put_back(self, buffer: Buffer[_T], lost: list[Waiting]) -> None:
        """Give what was handed to lost reads to the waiting ones, and put the rest back into the buffer, as the oldest."""
        messages = [buffer.handed[waiting] for waiting in lost]
        while messages and self._hand(buffer, messages[0], _get_running_loop()):
            messages.pop(0)
        buffer.messages.extendleft(reversed(messages))
        for waiting in lost:  # only now: a read that takes no lock must not see newer messages alone
            del buffer.handed[waiting]
