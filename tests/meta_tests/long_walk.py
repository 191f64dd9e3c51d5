"""Try everything that the library can do within bounds that are too large for CI, and say how far that went.

`python tests/meta_tests/long_walk.py --publishers 2 --subscribers 1 2 --messages 2 --cancellations 1`
"""

import argparse
import sys

from aioservicekit_conformance.exhaustive.scopes import Scope, text
from aioservicekit_conformance.exhaustive.walk import walk
from aioservicekit_conformance.running.case import Case
from aioservicekit_conformance.target import load
from aioservicekit_model.channel.world import Bounds

RUNS = 10_000_000
TOLD_EVERY = 1_000  # states


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--publishers", type=int, default=2, metavar="N")
    parser.add_argument("--subscribers", type=int, nargs="+", default=[1, 2], metavar="SIZE")
    parser.add_argument("--messages", type=int, default=2, metavar="N", help="of each publisher")
    parser.add_argument("--cancellations", type=int, default=1, metavar="N")
    parser.add_argument("--closings", action="store_true", help="let everything be closed, too")
    given = parser.parse_args()
    bounds = Bounds(
        publishers=given.publishers,
        sizes=tuple(given.subscribers),
        messages=given.messages,
        cancellations=given.cancellations,
        closings=given.closings,
        joined=True,
    )
    refused: list[Case] = []

    def failed(case: Case) -> bool:
        refused.append(case)
        return True

    def progress(left: int, known: int) -> None:
        if left % TOLD_EVERY == 0:
            print(f"{left:,} of {known:,} states", file=sys.stderr, flush=True)

    walked = walk(load("aioservicekit"), Scope(bounds), failed, progress=progress, most_runs=RUNS)
    for case in refused:
        print(f"refused: {case.actions}: {case.judged[-1]}")
    done = "stopped" if walked.stopped else "exhaustive"
    print(f"{done} for {text(Scope(bounds))}: {len(walked.nodes):,} states of the target, {walked.runs:,} runs")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
