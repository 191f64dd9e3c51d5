"""`python -m benchmarks.instructions`: count the instructions per delivery, which no other job on the machine disturbs.

Readers are behind, on a buffer of 64. The contestants are our channel, one `asyncio.Queue` per subscriber, and the floor. Each
runs under callgrind for a number of deliveries and for twice as many, so that the difference leaves out what starting Python
takes. The exit status is 1 if a line is missed. Without valgrind nothing is measured, and the status is 0.
"""

import asyncio
import gc
import os
import re
import shutil
import subprocess
import sys

from . import work
from .peers import FLOOR, OURS, QUEUE, Peer

__all__ = ["main"]

BUFFER = 64
DELIVERIES = 64_000
SECONDS = 120  # for one run under callgrind, which takes about five

LEAST_QUEUE_TO_OURS = {1: 1.0, 10: 2.0}  # by number of subscribers
MOST_OURS_TO_FLOOR = {1: 3.0, 10: 1.5}

CHILD = "--child"


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    if arguments[:1] == [CHILD]:
        name, *numbers = arguments[1:]
        asyncio.run(deliver(name, *map(int, numbers)))
        return 0
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("not measured: valgrind is not installed")
        return 0
    missed = False
    for subscribers, least in LEAST_QUEUE_TO_OURS.items():
        ours, queue, floor = (instructions(valgrind, peer, subscribers) for peer in (OURS, QUEUE, FLOOR))
        print(
            f"{subscribers} subscribers: ours {ours:,.0f}, asyncio.Queue {queue:,.0f}, floor {floor:,.0f} instructions a delivery"
        )
        missed |= not line("asyncio.Queue to ours", queue / ours, "at least", least, queue / ours >= least)
        most = MOST_OURS_TO_FLOOR[subscribers]
        missed |= not line("ours to the floor", ours / floor, "at most", most, ours / floor <= most)
    return int(missed)


def line(what: str, measured: float, which: str, bound: float, holds: bool) -> bool:
    print(f"  {what}: {measured:.2f}, {which} {bound}: {'ok' if holds else 'MISSED'}")
    return holds


def instructions(valgrind: str, peer: Peer, subscribers: int) -> float:
    """The number of instructions per delivery."""
    once, twice = (counted(valgrind, peer, subscribers, deliveries) for deliveries in (DELIVERIES, 2 * DELIVERIES))
    return (twice - once) / DELIVERIES


def counted(valgrind: str, peer: Peer, subscribers: int, deliveries: int) -> int:
    callgrind = [valgrind, "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    child = [sys.executable, "-m", "benchmarks.instructions", CHILD, peer.name, str(subscribers), str(deliveries)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*callgrind, *child], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"callgrind failed on {peer.name}:\n{done.stderr}")
    return int(found[1])


async def deliver(name: str, subscribers: int, deliveries: int) -> None:
    gc.disable()
    (peer,) = (peer for peer in (OURS, QUEUE, FLOOR) if peer.name == name)
    ends = await peer.make(subscribers, BUFFER)
    await work.behind(ends, BUFFER, deliveries // BUFFER // subscribers)
    await ends.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
