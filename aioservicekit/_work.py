"""Work: the calls of `__work__`, one after the other, and the pauses between them.

The calls go on until the work may end (SV-3.1, SV-3.4). A call that fails is followed by a pause, or by no other call (SV-3.2).
"""

import asyncio
from typing import TYPE_CHECKING

from ._call import Call
from ._log import logger
from ._outcome import outcome_of

if TYPE_CHECKING:
    from ._life import Life

__all__ = ["call_again_and_again", "pause_after"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0  # seconds, after a failure (SV-3.2)
_SPINNING, _SPINNING_SECONDS = 1000, 0.5  # consecutive calls of work without any wait, and for how long (SV-3.4)
_ADVICE = (
    "%r: its work has returned %d times in a row without waiting for anything: if it has finished for good, call self.stop(); "
    "if not, wait for the next piece of work"
)


def pause_after(failures: int) -> float:
    """The pause in seconds after this many consecutive failures."""
    return min(_FIRST_PAUSE * float(2 ** min(failures - 1, 30)), _LONGEST_PAUSE)


async def call_again_and_again(life: "Life") -> None:
    """Call the work of a service until it may end, or until it fails for good."""
    failures, without_waiting, since, is_named = 0, 0, 0.0, False
    while not life.work_may_end.done():
        if life.stop_announced and not life.stop_requested.done():
            await asyncio.wait([life.stop_requested])
            continue
        call = Call(life.owner.service.__work__)
        if (error := await outcome_of(call)) is not None:
            failures += 1
            if not life.owner.failures.fail_at_work(error):
                return
            await asyncio.wait([life.work_may_end], timeout=pause_after(failures))
            continue
        failures = life.owner.failures.restarts = 0
        without_waiting = 0 if call.has_waited else without_waiting + 1
        if without_waiting == 1:
            since = life.loop.time()
        elif without_waiting >= _SPINNING and not is_named and life.loop.time() - since >= _SPINNING_SECONDS:
            is_named = True
            logger.warning(_ADVICE, life.owner, without_waiting)
        await asyncio.sleep(0)  # the work may never have suspended (SV-3.3)
