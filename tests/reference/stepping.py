"""Run a test's main coroutine on the stepped loop: real tasks and virtual time, so no test waits for a clock."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aioservicekit import Event, Service
from aioservicekit_conformance.running.loop import SteppedLoop

__all__ = ["EAGER", "EagerLoop", "Failed", "Failing", "Recorded", "ReportingLoop", "listen", "now", "run"]

_T = TypeVar("_T")

EAGER = [False, True] if sys.version_info >= (3, 12) else [False]


class ReportingLoop(SteppedLoop):
    """A stepped loop that keeps what is reported to it.

    Attributes:
        errors: the contexts passed to `call_exception_handler`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[dict[str, Any]] = []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    default_exception_handler = call_exception_handler


class Loop(ReportingLoop):
    """A stepped loop that lets an exit through, as asyncio's loops do, and runs as long as there is something to run."""

    def run_to_the_end(self) -> None:
        for _ in range(100_000):
            if not self.step():
                return
        raise AssertionError("it never comes to rest")

    def _run(self, callback: Any) -> None:
        _, context, function, arguments = callback
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            context.run(function, *arguments)
        except Exception as error:
            self.call_exception_handler({"message": f"exception in callback {function!r}", "exception": error})
        finally:
            asyncio._set_running_loop(outer)


class EagerLoop(Loop):
    """A stepped loop that runs each task at once, up to its first wait, as `asyncio.eager_task_factory` does."""

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        return super().create_task(coro, eager_start=True, **options)

    def start(self, coro: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            return self.create_task(coro)
        finally:
            asyncio._set_running_loop(outer)


def run(main: Callable[[], Coroutine[Any, Any, _T]], *, eager: bool = False) -> _T:
    """Return what a coroutine function returns, or raise what it raises; nothing may be left to run."""
    loop = EagerLoop() if eager else Loop()
    task = loop.start(main())
    loop.run_to_the_end()
    assert loop.escapes == []
    assert task.done(), f"waits for ever: {task!r}"
    assert loop.errors == []
    loop.close()
    return task.result()


def now() -> float:
    """The virtual time, in seconds."""
    return asyncio.get_running_loop().time()


class Recorded(Service):
    """A service that notes its hooks and work in `log`; its work takes an hour unless told otherwise."""

    log: list[str]

    def __init__(self, name: str = "it", log: list[str] | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self.log = [] if log is None else log
        self.on_state_change.add_listener(lambda state: self.log.append(f"{name} {state.name}"))
        self.errors: list[BaseException] = []
        self.on_error.add_listener(self.errors.append)

    async def __on_start__(self) -> None:
        self.log.append(f"{self.name} starts")

    async def __work__(self) -> None:
        self.log.append(f"{self.name} works")
        await asyncio.sleep(3600)

    async def __on_stop__(self) -> None:
        self.log.append(f"{self.name} stops")


class Failed(Exception):
    """Raised by hooks and work."""


class Failing(Recorded):
    """A service whose work fails after a second, a given number of times."""

    def __init__(self, name: str = "failing", times: int = 1000, **options: Any) -> None:
        super().__init__(name, **options)
        self.times = times
        self.started: list[float] = []

    async def __on_start__(self) -> None:
        self.started.append(round(now(), 1))

    async def __work__(self) -> None:
        await asyncio.sleep(1)
        if self.times:
            self.times -= 1
            raise Failed
        await self.stopping


def listen(event: Event[Any]) -> list[Any]:
    """Record what an event is emitted with from now on."""
    heard: list[Any] = []
    event.add_listener(heard.append)
    return heard
