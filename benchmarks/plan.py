"""Which work is measured, with which peers, and in which groups."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any, NamedTuple

from . import work
from .measure import Effort, Key, Record, measure, within
from .peers import FLOOR, LOOPS, OURS, PEERS, QUEUE, SWITCH, THREADED, Ends, Missing, Peer, loop_factory, module
from .work import Sample

__all__ = ["FEW", "MANY", "Group", "Settings", "groups"]

BURST = 64  # messages, if the buffer is unbounded
MOST_DELIVERIES = 100_000  # in a burst: with 10,000 subscribers it has ten messages, for all alike
FEW, MANY = 10, 10_000  # subscribers, whose costs are compared
EXAMPLES = 200
SERVICES = ((), (0,))  # whose states are explored: one service, and one that depends on it
SLICES = 4  # times as long as other samples: threads take turns of milliseconds
STUCK = 30.0  # seconds after which a sample is given up

FLOORS = {"behind": FLOOR, "waiting": SWITCH}


class Settings(NamedTuple):
    """What to measure, and with how much effort."""

    effort: Effort
    loops: tuple[str, ...] = LOOPS
    peers: tuple[Peer, ...] = tuple(PEERS)
    subscribers: tuple[int, ...] = (1, 10, 100, 1_000, 10_000)
    buffers: tuple[int, ...] = (0, 1, 64)
    senders: tuple[int, ...] = (1, 10, 1_000)
    others: tuple[int, ...] = (0, 10, 1_000)


class Group(NamedTuple):
    """What is measured in the same rounds."""

    name: str
    run: Callable[[], list[Record]]


def groups(settings: Settings) -> Iterator[Group]:
    """Measure everything, one group of a loop after another."""
    numbers = count()
    for loop in settings.loops:
        for name, floor in FLOORS.items():
            for buffer in settings.buffers:
                for n in settings.subscribers:
                    those = [(peer, n) for peer in (*settings.peers, floor)]
                    yield of_ends(settings, next(numbers), name, loop, buffer, those)
        for name, floor in FLOORS.items():
            for buffer in settings.buffers:
                those = [(peer, n) for peer in (OURS, QUEUE, floor) for n in (FEW, MANY)]
                yield of_ends(settings, next(numbers), name, loop, buffer, those, title=f"{name}, scale")
        yield blocked(settings, next(numbers), loop)
        for buffer in settings.buffers:
            yield threads(settings, next(numbers), loop, buffer)
        for n in settings.others:
            yield of_ends(settings, next(numbers), "joining", loop, 0, [(peer, n) for peer in settings.peers])
    yield Group("memory", partial(memory, settings, next(numbers)))
    yield Group("suite", partial(suite, settings, next(numbers)))


def of_ends(
    settings: Settings, number: int, name: str, loop: str, buffer: int, those: list[tuple[Peer, int]], title: str = ""
) -> Group:
    """Work on subscribers that are made once, before the first sample."""
    most = max(n for _, n in those)
    burst = min(buffer or BURST, MOST_DELIVERIES // max(1, most))
    works: dict[str, Callable[[Ends, int], Awaitable[Sample]]] = {
        "behind": lambda ends, amount: work.behind(ends, burst, amount),
        "waiting": work.waiting,
        "joining": work.joining,
    }

    def run() -> list[Record]:
        made: dict[tuple[Peer, int], Ends] = {}

        def sample(runner: asyncio.Runner, peer: Peer, n: int, amount: int) -> Sample:
            if (peer, n) not in made:
                made[peer, n] = runner.run(peer.make(n, buffer))
                gc.collect()
                gc.freeze()  # so that the collections between the samples skip them
            return runner.run(within(STUCK, works[name](made[peer, n], amount)))

        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            keys = {
                Key(title or name, loop, buffer, n, peer.name): partial(sample, runner, peer, n) for peer, n in those
            }
            records = measure(number, keys, settings.effort)
            for ends in made.values():
                runner.run(ends.close())
            made.clear()
            gc.unfreeze()
        return records

    return Group(f"{title or name}/{loop}/{buffer}/{most}", run)


def blocked(settings: Settings, number: int, loop: str) -> Group:
    def run() -> list[Record]:
        def sample(runner: asyncio.Runner, peer: Peer, senders: int, amount: int) -> Sample:
            return runner.run(within(STUCK, work.blocked(peer, senders, amount)))

        with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
            keys = {
                Key("blocked", loop, 1, senders, peer.name): partial(sample, runner, peer, senders)
                for peer in settings.peers
                for senders in settings.senders
            }
            return measure(number, keys, settings.effort)

    return Group(f"blocked/{loop}", run)


def threads(settings: Settings, number: int, loop: str, buffer: int) -> Group:
    def run() -> list[Record]:
        new_loop = loop_factory(loop)

        def sample(runner: asyncio.Runner, peer: Peer, amount: int) -> Sample:
            return runner.run(within(STUCK, work.from_threads(peer, buffer, new_loop, amount)))

        with asyncio.Runner(loop_factory=new_loop) as runner:
            keys = {
                Key("threads", loop, buffer, work.THREADS, peer.name): partial(sample, runner, peer)
                for peer in THREADED
            }
            return measure(number, keys, settings.effort._replace(seconds=settings.effort.seconds * SLICES))

    return Group(f"threads/{loop}/{buffer}", run)


def memory(settings: Settings, number: int) -> list[Record]:
    """Bytes: they depend on no loop, and are the same each time."""

    def record(what: str, peer: Peer, measured: Coroutine[Any, Any, float]) -> Record:
        key = Key(f"memory, a {what}", "any", 0, 1, peer.name)
        try:
            return Record(key, number, [asyncio.run(measured)], 1)
        except Missing as error:
            return Record(key, number, reason=str(error))

    return [
        each
        for peer in settings.peers
        for each in (
            record("subscriber", peer, work.bytes_a_subscriber(peer, 1_000)),
            record("message", peer, work.bytes_a_message(peer, 100, 10 * BURST)),
        )
    ]


def suite(settings: Settings, number: int) -> list[Record]:
    """The speed of the conformance suite, in seconds per example, and of exploring services, in seconds per state."""

    def examples(amount: int) -> Sample:
        target = module("aioservicekit_conformance.target")
        explorer = module("aioservicekit_conformance.exploring.explorer")
        reference = target.load("aioservicekit")
        cold()
        start = perf_counter()
        cases = explorer.explore(reference, amount * EXAMPLES, 0).cases
        return Sample(perf_counter() - start, cases)

    def states(amount: int) -> Sample:
        model, services = module("aioservicekit_model.service"), module("aioservicekit_model.service.properties")
        actions = [action for action in model.ACTIONS if action not in model.BLOCK]
        machine = services.bounded(module("aioservicekit_model.service.state").World(SERVICES), actions)
        start = perf_counter()
        found = sum(len(module("aioservicekit_model.explorer").explore(machine).states) for _ in range(amount))
        return Sample(perf_counter() - start, found)

    keys = {Key("suite", "any", 0, 1, "an example"): examples, Key("suite", "any", 0, 1, "a state"): states}
    return measure(number, keys, settings.effort)


def cold() -> None:
    """Forget what the model has cached, as in a process that has just begun."""
    for name, model in list(sys.modules.items()):
        if name.startswith("aioservicekit_model"):
            for function in vars(model).values():
                if hasattr(function, "cache_clear"):
                    function.cache_clear()
