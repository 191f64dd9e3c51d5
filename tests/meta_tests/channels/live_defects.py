"""Defects that threads alone can show: each is the reference implementation with one place of its source edited.

`LIVE_DEFECTS` lists them, and `channels.live_defects:<name>` is a target for the command.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import aioservicekit

__all__ = ["LIVE_DEFECTS", "LiveDefect"]


class Edit(NamedTuple):
    """An edit of a file, as in a diff; the old text is in it exactly once."""

    file: str
    old: str
    new: str


class LiveDefect(NamedTuple):
    """A channel that live judging must refuse.

    Attributes:
        rules: one of these is to be blamed: which of them shows first depends on the threads.
        why: the mistake, in one sentence.
        edits: how it is made.
    """

    rules: frozenset[str]
    why: str
    edits: tuple[Edit, ...]


THREADS = frozenset({"CH-6.1", "CH-6.3"})

LIVE_DEFECTS = {
    "future_of_another_loop": LiveDefect(
        frozenset({"CH-6.2"}),
        "A future is set in whichever thread makes its operation possible, and its loop sleeps on.",
        (Edit("_runtime.py", "    if loop is running:\n", "    if not loop.is_closed():\n"),),
    ),
    "send_without_lock": LiveDefect(
        THREADS,
        "`send` takes no lock.",
        (
            Edit("channels.py", "            lock.acquire()\n", ""),
            Edit("channels.py", "            lock.release()\n        except", "        except"),
        ),
    ),
    "subscribe_without_lock": LiveDefect(
        THREADS,
        "`subscribe` takes no lock.",
        (
            Edit(
                "channels.py",
                "        with self._core.lock:\n            self._require_not_closed()\n            self._core.subscribe(",
                "        if True:\n            self._require_not_closed()\n            self._core.subscribe(",
            ),
        ),
    ),
    "connect_without_lock": LiveDefect(
        THREADS,
        "`connect` takes no lock: a publisher joins a channel that has closed meanwhile.",
        (
            Edit(
                "channels.py",
                "        with self._core.lock:\n            self._require_not_closed()\n            self._core.connect(",
                "        if True:\n            self._require_not_closed()\n            self._core.connect(",
            ),
        ),
    ),
    "check_and_join_apart": LiveDefect(
        THREADS,
        "`subscribe` looks whether the channel is closed under one hold of the lock, and joins under another.",
        (
            Edit(
                "channels.py",
                "            self._core.subscribe(subscriber._buffer)",
                "            self._core.lock.release()\n            self._core.lock.acquire()\n"
                "            self._core.subscribe(subscriber._buffer)",
            ),
        ),
    ),
    "closes_in_two_steps": LiveDefect(
        THREADS,
        "`close` closes the subscribers under one hold of the lock, and the publishers under another.",
        (
            Edit(
                "_core.py",
                "        self.publishers.clear()  # CH-1.6\n        self._fail(list(self.sends))\n        for buffer",
                "        for buffer",
            ),
            Edit(
                "_core.py",
                "        self.bounded.clear()\n        self.full.clear()\n",
                "        self.bounded.clear()\n        self.full.clear()\n"
                "        self.lock.release()\n        self.lock.acquire()\n"
                "        self.publishers.clear()\n        self._fail(list(self.sends))\n",
            ),
        ),
    ),
    "check_and_commit_apart": LiveDefect(
        THREADS,
        "`send` looks whether it may commit under one hold of the lock, and commits under another.",
        (Edit("channels.py", "not core.sends and", "not core.sends and (lock.release(), lock.acquire()) and"),),
    ),
    "lock_for_each_subscriber": LiveDefect(
        THREADS,
        "A commit locks one subscriber after the other, so two commits may cross.",
        (
            Edit(
                "_core.py",
                "        for buffer in self.buffers:  # CH-3.1",
                "        for buffer in list(self.buffers):\n            self.lock.release()\n"
                "            self.lock.acquire()  # CH-3.1",
            ),
        ),
    ),
    "wake_up_dies_with_its_loop": LiveDefect(
        frozenset({"CH-6.3"}),
        "A read is handed its message, and its loop closes before the read runs: nobody puts the message back.",
        (Edit("_runtime.py", "lost and _InQueue(loop, lost))  # CH-6.2", "None)  # CH-6.2"),),
    ),
    "messages_that_come_back_are_overtaken": LiveDefect(
        frozenset({"CH-6.3"}),
        "A read has its message, and its loop closes before it runs: the next read finds a newer message, and takes that.",
        (Edit("channels.py", "        if messages and not buffer.handed:", "        if messages:"),),
    ),
    "message_comes_back_in_silence": LiveDefect(
        frozenset({"CH-6.3"}),
        "The same, while a read waits on another loop: it hears nothing of the message.",
        (
            Edit(
                "_core.py",
                "                tell_if_lost(waiting, partial(when_free, self, self.take_back, buffer))",
                "                pass",
            ),
        ),
    ),
    "looks_before_it_takes": LiveDefect(
        frozenset({"CH-6.1"}),
        "A read looks for waiting sends before it takes its message: a send that lines up in between waits beside the room.",
        (
            Edit(
                "channels.py",
                "            try:\n                message =",
                "            looked = bool(core.sends)\n            try:\n                message =",
            ),
            Edit(
                "channels.py",
                "                if core.sends:\n                    with core.lock:",
                "                if looked:\n                    with core.lock:",
            ),
        ),
    ),
    "publishers_counted_without_lock": LiveDefect(
        THREADS,
        "`connect` counts the publishers before it takes the lock: two that join at once may count as one.",
        (
            Edit(
                "_core.py",
                "self.publishers: set[object] = set()\n",
                "self.publishers = set()\n        self.count = 0\n",
            ),
            Edit(
                "channels.py",
                "        with self._core.lock:\n            self._require_not_closed()\n            self._core.connect(",
                "        self._core.count = self._core.count + 1\n"
                "        with self._core.lock:\n            self._require_not_closed()\n            self._core.connect(",
            ),
            Edit(
                "_core.py",
                "            if self.opened and len(self.publishers) == 1:\n",
                "            self.count -= 1\n            if self.opened and self.count <= 0:\n",
            ),
        ),
    ),
    "size_0_counts_as_full": LiveDefect(
        THREADS,
        "An unbounded subscriber has size 0. If another thread empties its buffer right after a commit, 0 == 0, and it is"
        " full for ever.",
        (
            Edit(
                "_core.py",
                "            buffer.messages.append(message)\n",
                "            buffer.messages.append(message)\n"
                "            if len(buffer.messages) == buffer.size:\n                self.bounded[buffer] = None\n",
            ),
            Edit("_core.py", "return 0 < self.size <= len(self.messages)", "return self.size <= len(self.messages)"),
        ),
    ),
}


def edited(name: str, defect: LiveDefect) -> ModuleType:
    """The reference with these edits, as a module of its own."""
    package = ModuleType(f"edited_{name}")
    sys.modules[package.__name__] = package
    module = package
    for file in ("_runtime.py", "_core.py", "channels.py"):
        path = Path(aioservicekit.__file__).with_name(file)
        source = path.read_text("utf-8")
        for edit in defect.edits:
            if edit.file == file:
                assert source.count(edit.old) == 1, f"{name}: {file} has changed; write the defect anew: {edit.old!r}"
                source = source.replace(edit.old, edit.new)
        module = ModuleType(f"{package.__name__}.{path.stem}")
        module.__package__ = package.__name__
        sys.modules[module.__name__] = module
        exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def __getattr__(name: str) -> ModuleType:
    if name not in LIVE_DEFECTS:
        raise AttributeError(name)
    return edited(name, LIVE_DEFECTS[name])
