"""Fingerprints: two cases with the same fingerprint go on in the same way, whatever is done next.

A fingerprint is taken of all objects that can be reached from some roots: the channel, its endpoints, the tasks, and the callbacks
that the loop is about to run. Objects are walked in a fixed order, and count by their structure: an object gets a number when it is
first met, and is only that number from then on. So addresses don't matter, but who refers to whom does. Of a suspended coroutine,
its code counts, where in its code it is, its variables, and the unnamed values on its stack.

Global variables count too, if functions of the target use them and their values are containers or plain. What is held weakly
counts if it can be reached in another way as well.
"""

import asyncio
import dis
import gc
import marshal
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from enum import Enum
from functools import partial
from hashlib import blake2b
from operator import length_hint
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, WeakSet, WeakValueDictionary

__all__ = ["Fingerprints"]

HEAP = 1 << 9  # the flag of classes that are written in Python, and of some others
MEMBER = MemberDescriptorType  # what a class has for each of its slots
PLAIN = (bool, int, float, str, bytes, type(None))
CONSTANT = (type, ModuleType, CodeType)
LEFT_OUT = (Context, FrameType, TracebackType)  # the same for all, or of no consequence
SUSPENDED = {GeneratorType: "gi", CoroutineType: "cr", AsyncGeneratorType: "ag"}
WEAK = (ReferenceType, WeakKeyDictionary, WeakSet, WeakValueDictionary)
LATE = (set, frozenset, *WEAK)
GLOBAL = (*PLAIN, list, dict, set, deque, *WEAK)

Part = tuple[tuple[Any, ...], Iterable[object]]  # what an object is by itself, and what it refers to


class Fingerprints:
    """Takes fingerprints that can be compared with each other.

    Args:
        given: what to take instead of an object that belongs to the suite; None for all others.
    """

    def __init__(self, given: Callable[[object], object]) -> None:
        self.given = given
        self._constants: dict[object, int] = {}  # kept, so that no address is used again
        self._globals: dict[object, list[tuple[dict[str, Any], str]]] = {}
        self._used: dict[tuple[Any, ...], list[tuple[dict[str, Any], str]]] = {}
        self._slots: dict[type, list[str]] = {}
        self._sorts: dict[type, tuple[type, ...]] = {}

    def of(self, roots: Iterable[object], now: float) -> bytes:
        """The fingerprint of all that can be reached from the roots.

        Args:
            now: the time of the loop; timers count by how far away they are.
        """
        walk = _Walk(self, now)
        walk.visit(roots)
        walk.end()
        return blake2b(marshal.dumps(walk.found, 2), digest_size=16).digest()  # version 2 writes no references

    def constant(self, thing: object) -> int:
        """The number of something that never changes."""
        return self._constants.setdefault(thing, len(self._constants))

    def globals_of(self, user: Any) -> list[tuple[dict[str, Any], str]]:
        """The global variables that a function, or the methods of a class, may use; each as its namespace and its name."""
        key = _code_or_class(user)
        if key not in self._globals:
            self._globals[key] = found = []
            for function in _functions(user):
                for name in _global_names(function.__code__):
                    value = function.__globals__.get(name)
                    if isinstance(value, GLOBAL):
                        found.append((function.__globals__, name))
                    elif isinstance(value, FunctionType | type) and not _is_standard(value):
                        found += self.globals_of(value)
        return self._globals[key]

    def used_by(self, users: dict[Any, Any]) -> list[tuple[dict[str, Any], str]]:
        """The global variables that any of some functions, or of the methods of some classes, may use; each of them once."""
        keys = tuple(users)
        if keys not in self._used:
            found = [variable for user in users.values() for variable in self.globals_of(user)]
            self._used[keys] = list({(id(namespace), name): (namespace, name) for namespace, name in found}.values())
        return self._used[keys]

    def sort(self, kind: type) -> tuple[type, ...]:
        """How instances of a class are taken: as one of the tuples of classes above, or as any other object."""
        if kind not in self._sorts:
            self._sorts[kind] = next((each for each in (PLAIN, CONSTANT, LEFT_OUT, LATE) if issubclass(kind, each)), ())
        return self._sorts[kind]

    def slots(self, kind: type) -> list[str]:
        """The names of the attributes that instances have beside `__dict__`."""
        if kind not in self._slots:
            members = (name for each in kind.__mro__ for name, value in vars(each).items() if isinstance(value, MEMBER))
            self._slots[kind] = sorted(members)
        return self._slots[kind]


class _Walk:
    def __init__(self, fingerprints: Fingerprints, now: float) -> None:
        self.found: list[Any] = []
        self._fingerprints = fingerprints
        self._now = now
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # some are made on the way: no address may be used again
        self._late: list[Any] = []
        self._users: dict[Any, Any] = {}  # functions and classes

    def visit(self, roots: Iterable[Any]) -> None:
        left = list(roots)[::-1]
        while left:
            thing = left.pop()
            kind = type(thing)
            sort = self._fingerprints.sort(kind)
            if sort is PLAIN:
                self.found.append(thing if kind in PLAIN else (self._fingerprints.constant(kind), repr(thing)))
            elif id(thing) in self._numbers:
                self.found.append((self._numbers[id(thing)],))
            elif (given := self._fingerprints.given(thing)) is not None:
                self.found.append((given, 0))
            elif sort is CONSTANT or (kind is BuiltinFunctionType and isinstance(thing.__self__, ModuleType)):
                self.found.append((self._fingerprints.constant(thing), 0, 0))
            elif sort is not LEFT_OUT:
                self._numbers[id(thing)] = len(self._kept)
                self._kept.append(thing)
                if sort is LATE:
                    self._late.append(thing)
                    continue
                by_itself, parts = self._taken_apart(thing)
                children = list(parts)
                self.found.append((self._fingerprints.constant(kind), len(children), *by_itself))
                left.extend(reversed(children))

    def end(self) -> None:
        """Visit what is left for the end: global variables, and what has no order, or is held weakly."""
        self.visit(namespace.get(name) for namespace, name in self._fingerprints.used_by(self._users))
        for thing in self._late:  # which grows meanwhile
            match thing:
                case ReferenceType():
                    self.found.append(self._known([thing()]))
                case WeakKeyDictionary():
                    pairs = [
                        (self._numbers[id(key)], value) for key, value in thing.items() if id(key) in self._numbers
                    ]
                    for number, value in sorted(pairs, key=lambda pair: pair[0]):
                        self.found.append(number)
                        self.visit([value])
                case WeakValueDictionary():
                    known = [(key, value) for key, value in thing.items() if id(value) in self._numbers]
                    self.visit(each for pair in known for each in pair)
                case _:
                    self.found.append(self._known(thing))
                    if not isinstance(thing, WeakSet):
                        self.visit(sorted((each for each in thing if id(each) not in self._numbers), key=_plain))

    def _known(self, things: Iterable[object]) -> tuple[int, ...]:
        return tuple(sorted(self._numbers[id(each)] for each in things if id(each) in self._numbers))

    def _taken_apart(self, thing: Any) -> Part:
        """What an object is by itself, and what it refers to."""
        kind = type(thing)
        if kind in SUSPENDED:
            prefix = SUSPENDED[kind]
            frame = getattr(thing, f"{prefix}_frame")
            code = getattr(thing, f"{prefix}_code")
            place = (frame.f_lasti, *sorted(frame.f_locals)) if frame else (-2,)
            referents = gc.get_referents(thing)
            self._users.update((_code_or_class(each), each) for each in referents if isinstance(each, FunctionType))
            held = (each for each in referents if not isinstance(each, FunctionType | FrameType | CodeType))
            return (self._fingerprints.constant(code), *place), held
        if isinstance(thing, FunctionType):
            self._users[_code_or_class(thing)] = thing
            cells = thing.__closure__ or ()
            return (self._fingerprints.constant(thing.__code__),), (*cells, thing.__defaults__, thing.__kwdefaults__)
        if isinstance(thing, MethodType):
            return (), (thing.__func__, thing.__self__)
        if isinstance(thing, BuiltinFunctionType):
            return (thing.__name__,), (thing.__self__,)
        if isinstance(thing, CellType):
            return (), gc.get_referents(thing)
        if isinstance(thing, partial):
            return (), (thing.func, thing.args, thing.keywords)
        if isinstance(thing, Enum):
            return (thing.name,), ()
        if isinstance(thing, asyncio.Future):
            return self._future(thing)
        if isinstance(thing, asyncio.Handle):
            away = thing.when() - self._now if isinstance(thing, asyncio.TimerHandle) else 0.0
            return (thing.cancelled(), away), (thing._callback, thing._args)  # type: ignore[attr-defined]
        if isinstance(thing, BaseException):
            return (), (thing.args, thing.__cause__, thing.__context__, vars(thing))
        contents: list[object] = []
        if isinstance(thing, list | tuple | deque):
            contents.extend(thing)
        elif isinstance(thing, dict):
            contents.extend(each for pair in thing.items() for each in pair)
        if kind.__module__ == "builtins" and contents:
            return (), contents
        if not kind.__flags__ & HEAP and not contents:
            return (length_hint(thing, -1), _shown(thing)), gc.get_referents(thing)
        return (), (*contents, *self._attributes(thing, kind))

    def _future(self, future: Any) -> Part:
        done: tuple[object, ...] = (future._result, future._exception) if future.done() else ()
        parts = (*done, future._callbacks, future._cancel_message, *self._attributes(future, type(future)))
        if isinstance(future, asyncio.Task):
            return self._task(future, parts)
        return (future._state,), parts

    def _task(self, task: Any, parts: tuple[object, ...]) -> Part:
        return (task._state, task._must_cancel, task.cancelling()), (*parts, task._fut_waiter, task.get_coro())

    def _attributes(self, thing: object, kind: type) -> Iterator[object]:
        if not _is_standard(kind):
            self._users[kind] = kind
        for name in self._fingerprints.slots(kind):
            if hasattr(thing, name):
                yield name
                yield getattr(thing, name)
        for name, value in sorted(getattr(thing, "__dict__", {}).items()):
            yield name
            yield value


def _shown(thing: object) -> str:
    """What only the text of an object tells: where a counter is, whether a lock is held."""
    return re.sub("0x[0-9a-f]+", "", repr(thing)) if type(thing).__module__ in ("itertools", "_thread") else ""


def _plain(thing: object) -> str:
    return repr(thing) if isinstance(thing, PLAIN) else ""


def _code_or_class(user: Any) -> Any:
    """What stays the same of a function or a class: each run may make its functions anew."""
    return (user.__code__, id(user.__globals__)) if isinstance(user, FunctionType) else user


def _functions(user: Any) -> Iterator[FunctionType]:
    if isinstance(user, FunctionType):
        yield user
        return
    for each in user.__mro__:
        for value in () if _is_standard(each) else vars(each).values():
            value = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if isinstance(value, FunctionType):
                yield value


def _global_names(code: CodeType) -> Iterator[str]:
    """The names of global variables that some code uses, or functions in it."""
    for instruction in dis.get_instructions(code):
        if "GLOBAL" in instruction.opname:
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _is_standard(thing: Any) -> bool:
    return (thing.__module__ or "").partition(".")[0] in sys.stdlib_module_names
