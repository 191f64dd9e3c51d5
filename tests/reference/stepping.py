"""Running a test's main coroutine on the stepped loop: real tasks, virtual time, and no clock to wait for."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aioservicekit import Event, Service
from aioservicekit_conformance.loop import SteppedLoop

__all__ = ["Recorded", "listen", "now", "run"]

_T = TypeVar("_T")


def run(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """What a coroutine function returns or raises; it must end with nothing left to run."""
    loop = SteppedLoop()
    task = loop.start(main())
    loop.run_until_rest()
    assert loop.escapes == []
    assert task.done(), f"waits for ever: {task!r}"
    assert loop.errors == []
    loop.close()
    return task.result()


def now() -> float:
    """The virtual time, in seconds."""
    return asyncio.get_running_loop().time()


class Recorded(Service):
    """A service that notes in `log` what happens to it; its work takes an hour, and may be told what to do."""

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


def listen(event: Event[Any]) -> list[Any]:
    """What an event is emitted with from now on."""
    heard: list[Any] = []
    event.add_listener(heard.append)
    return heard
