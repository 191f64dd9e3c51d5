"""A plan: what each thread of a run is to do. A run does not repeat its plan exactly, since threads never run twice alike.

A run is a sequence of *bursts*. In a burst the threads act at the same time; after it all comes to rest. A burst has few sends:
sends that overlap may have committed in any order, and the model has to consider all of them.
"""

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from aioservicekit_model.channel.history import JOINS

from .loops import LOOPS

__all__ = ["Action", "Plan", "draw", "smaller"]

THREADS = 2, 2, 2, 3, 3, 3, 4, 5, 6, 8  # most defects show with few threads, which take less time
MOST_SENDS = 8  # in a burst
DEADLY = 3  # in one run of several threads in this many, loops die often
SINGLE = 4  # one run in this many has a single thread: it shows the rules that have nothing to do with threads
CROWD, BOTTLENECK = 1, 7  # of ten runs, these are a crowd and a bottleneck; neither is ever a run of a single thread

WEIGHTS = {
    "send": 10,
    "read": 9,
    "next": 1,
    "observe": 2,
    "subscribe": 0.6,
    "connect": 0.4,
    "close": 0.7,
    "cancel": 2.5,
}
DUELS = 0.3  # of the runs
ONE_SIDED = 0.2  # of the runs
RUSHES = 0.7  # of the runs of several threads
SHORT = 0.8  # of these do nothing else: a channel closes once, and so many short runs show more than a few long ones
ROLES: tuple[dict[str, float], ...] = (
    {},
    {},
    {"send": 1},
    {"read": 1},
)  # of a thread, in a burst; {}: it does anything
CHAOS = 0, 0.02, 0.05, 0.1
CROWDED = (0.1,)  # in a crowd, where there is little to do
HARDLY = 0.004  # at a bottleneck: a pause or two in an operation
ALONE = 0.005, 0.01  # if one thread alone has it: a long pause or two in an operation, for which others lurk
# In the middle of one of these something closes, or, in the middle of a closing, something else begins.
RUSHED = *JOINS * 2, *("send",) * 4, "read", *("close",) * 2
SWARM = 0.2, 1, 1, 2
HURRIED = {"send": 0.2, "read": 0.5, "next": 0.5}  # how many of these are asked to cancel if they wait
DYING = 0.15, 3  # the weight of "die", in most runs and in deadly ones; a single thread never dies


class Action(NamedTuple):
    """One action of a thread.

    Attributes:
        what: the kind of an operation, or "cancel", "die" (its loop is closed with all that waits on it, and a new one made),
            or "lurk" (the thread does nothing until another one pauses in the middle of something).
        which: chooses, among what there is by then: an endpoint, an operation to cancel. A close with 0 closes the channel.
        size: of a `subscribe`, the buffer's size; None takes the channel's default.
        pause: how often the thread's loop goes round before the thread's next action, or, if negative, for how many
            ten-thousandths of a second the thread does nothing.
        hurried: the operation is asked to cancel after that, if it still waits.
    """

    what: str
    which: int = 0
    size: int | None = None
    pause: int = 0
    hurried: bool = False


Burst = tuple[tuple[Action, ...], ...]  # for each thread, what it does


class Plan(NamedTuple):
    """What a run does.

    Attributes:
        loops: the loops' kind: "asyncio" or "uvloop".
        default_size: the channel's.
        bursts: each gives every thread something to do, or nothing.
        chaos: how many of the target's instructions are preceded by a pause, from 0 to 1.
        alone: the first thread alone has chaos, and longer pauses: the others get far while it is in the middle of something.
        seed: of the chaos.
    """

    loops: str
    default_size: int
    bursts: tuple[Burst, ...]
    chaos: float
    alone: bool
    seed: int

    @property
    def threads(self) -> int:
        return len(self.bursts[0])

    @property
    def actions(self) -> int:
        return sum(len(actions) for burst in self.bursts for actions in burst)

    def does(self, what: str) -> bool:
        return any(action.what == what for burst in self.bursts for actions in burst for action in actions)

    def without(self, what: str) -> "Plan":
        """The plan without the actions of a kind."""
        return self._replace(
            bursts=tuple(
                tuple(tuple(action for action in actions if action.what != what) for actions in burst)
                for burst in self.bursts
            )
        )


def draw(seed: int, number: int) -> Plan:
    """The plan of the n-th run."""
    chance = Random(f"{seed} {number}")
    threads = 1 if number % SINGLE == 0 else chance.choice(THREADS)
    if number % 10 == CROWD:
        return _plan(chance, [*_crowd(chance, threads)], CROWDED)
    if number % 10 == BOTTLENECK:
        return _plan(chance, [*_bottleneck(chance)], (HARDLY,), alone=True)
    bursts, short = _bursts(chance, threads)
    alone = threads > 1 and (short or chance.random() < 0.5)
    return _plan(chance, bursts, () if threads == 1 else ALONE if alone else CHAOS, alone)


def _plan(chance: Random, bursts: list[list[list[Action]]], chaos: tuple[float, ...], alone: bool = False) -> Plan:
    return Plan(
        loops=chance.choice(list(LOOPS)),
        default_size=chance.choice((0, 0, 1, 2)),
        bursts=tuple(tuple(map(tuple, burst)) for burst in bursts),
        chaos=chance.choice(chaos) if chaos else 0,
        alone=alone,
        seed=chance.randrange(2**32),
    )


def _bursts(chance: Random, threads: int) -> tuple[list[list[list[Action]]], bool]:
    """The bursts of most runs, and whether the first thread is to be in the middle of something as another one closes."""
    joins = [*("subscribe",) * chance.choice((1, 1, 1, 2, 3)), *("connect",) * chance.choice((1, 2, 2, 3))]
    first: list[list[Action]] = [[] for _ in range(threads)]
    for what in joins:
        chance.choice(first).append(_action(chance, what))
    # Each run does some things often and others seldom ("swarm testing"): so they differ more than by chance.
    weights = {what: weight * chance.choice(SWARM) for what, weight in WEIGHTS.items()}
    weights["die"] = DYING[chance.randrange(DEADLY) == 0] if threads > 1 else 0
    rushes = threads > 1 and chance.random() < RUSHES
    short = rushes and chance.random() < SHORT
    bursts = [first]
    if not short:
        if weights["die"] == DYING[1]:
            bursts += _deaths(chance, threads)
        if threads > 1 and chance.random() < DUELS:
            bursts += [_duel(chance, threads) for _ in range(2)]
        bursts += [_burst(chance, threads, weights) for _ in range(chance.randint(3, 6))]
    if rushes:
        bursts += _rush(chance, threads)
    if chance.random() < ONE_SIDED:  # come, send and go before the other side is there
        side = chance.choice(("connect", "subscribe"))
        early: list[list[Action]] = [[] for _ in range(threads)]
        late: list[list[Action]] = [[] for _ in range(threads)]
        chance.choice(early).append(_action(chance, side))
        for what in ("send", "read", "close"):
            chance.choice(late).append(_action(chance, what)._replace(which=1))
        bursts = [early, late, *bursts]
    return bursts, short


def _crowd(chance: Random, threads: int) -> Iterator[list[list[Action]]]:
    """Bursts in which all threads join at once, all of these but one leave, and at last that one too; everybody looks on.

    A wrong count of endpoints closes the channel too early or too late. Who only looks sees what others have done.
    """
    side, other = chance.sample(JOINS, 2)
    each = 2 if threads <= 4 else 1
    joins = [[Action(side)] * each for _ in range(threads)]
    joins[0].append(Action(other))
    yield joins
    crowd = threads * each
    leaves = [Action("close", which) for which in range(1, crowd)]  # 0 would be the channel; so one of them is left
    looks = [[Action("observe")] for _ in range(threads)]
    yield _by(threads, {0: leaves[::2], 1: leaves[1::2]})
    yield looks
    yield _by(threads, {0: [Action("close", crowd + 1)]})  # the first one that joined as a publisher
    yield looks


def _bottleneck(chance: Random) -> Iterator[list[list[Action]]]:
    """Bursts of two threads at one buffer with room for two: the first one reads or sends, and the other acts when it pauses.

    What a thread has noted of the buffer is out of date after its pause. What it makes of that shows by what comes next.
    """
    yield [[Action("subscribe", size=2)], [Action("connect")]]
    send, read = Action("send"), Action("read")
    for _ in range(8):
        paused, beside = chance.choice(((read, send), (read, send), (send, read)))
        yield [[], [send]]
        yield [[paused], [Action("lurk"), beside, beside]]
        yield [[], [send._replace(hurried=True)]]
        yield [[], [read._replace(hurried=True)] * 3]


def _burst(chance: Random, threads: int, weights: dict[str, float]) -> list[list[Action]]:
    each = chance.randint(2, 6) if threads < 4 else chance.randint(1, 4)
    burst: list[list[Action]] = [[] for _ in range(threads)]
    sends = 0
    for actions in burst:
        role = chance.choice(ROLES) or weights
        for what in chance.choices(list(role), list(role.values()), k=each):
            sends += what == "send"
            if what != "send" or sends <= MOST_SENDS:
                actions.append(_action(chance, what))
    return burst


def _duel(chance: Random, threads: int) -> list[list[Action]]:
    """A burst in which one thread sends, and another one reads as often, and waits for nothing. The first thread is one of them."""
    read = _action(chance, "read")._replace(hurried=True)
    reads = [read._replace(pause=chance.choice((0, -1, -2))) for _ in range(6)]
    first, other = chance.sample(([_action(chance, "send") for _ in range(4)], reads), 2)
    return _by(threads, {0: first, chance.randrange(1, threads): other})


def _rush(chance: Random, threads: int) -> Iterator[list[list[Action]]]:
    """Bursts in which a thread closes something while reads wait, and while the first thread is in the middle of something."""
    closing, *others = chance.sample(range(1, threads), min(threads - 1, 2))  # more would overlap in too many orders
    subscribes = [_action(chance, "subscribe")._replace(pause=1) for _ in range(2)]
    reads = [Action("read", which) for which in range(2)]  # on the last subscribers none, as a rule
    yield _by(threads, {chance.choice((closing, *others)): [*subscribes, *reads]})
    what = chance.choice(RUSHED)  # and nothing else: so more of its pauses are in one sort of operation
    lurk, close_all, close_one = Action("lurk"), Action("close", 0), Action("close", chance.randrange(1000))
    middle = [_action(chance, what) for _ in range(3)]
    beside = close_all if what in JOINS else chance.choice((close_all, close_one))
    if what == "close":
        middle[0], beside = close_all, _action(chance, chance.choice(RUSHED))
    late = [Action("read", which) for which in (-1, -2, -3)]  # a commit that is half done has not reached the last ones
    yield _by(
        threads,
        {
            0: middle,
            closing: [lurk, beside, *late],
            **{thread: [lurk, _action(chance, chance.choice(RUSHED))] for thread in others},
        },
    )
    yield _by(threads, {thread: [_action(chance, "send"), _action(chance, "read")] for thread in (0, *others)})


def _deaths(chance: Random, threads: int) -> Iterator[list[list[Action]]]:
    """Bursts in which a read waits on a loop, and this loop closes as the read is woken, while another thread reads too."""
    for _ in range(3):
        dying, other = chance.sample(range(threads), 2)
        die, send = _action(chance, "die"), _action(chance, "send")._replace(pause=0, hurried=False)
        read = _action(chance, "read")._replace(hurried=False)
        wake = send._replace(pause=chance.choice((1, 2)))  # the read is about to be woken, or to run
        late = Action("observe", pause=chance.choice((-1, -3, -6)))
        woken = chance.choice(
            (
                ({dying: [die], other: [send]},),
                ({dying: [die], other: [send, send, read, read]},),
                ({other: [read]}, {dying: [wake, die], other: [read]}),
                ({dying: [wake, die], other: [late, read]},),
                ({dying: [send, wake, die]}, {other: [read, read]}),
            )
        )
        for acting in ({dying: [read]}, *woken):
            yield _by(threads, acting)


def _by(threads: int, acting: dict[int, list[Action]]) -> list[list[Action]]:
    """The burst in which these threads act, and the others do nothing."""
    return [acting.get(thread, []) for thread in range(threads)]


def _action(chance: Random, what: str) -> Action:
    size = chance.choice((None, None, 0, 1, 2, 3)) if what == "subscribe" else None
    pause = chance.choice((0, 0, 0, 1, 2, -1, -3))
    return Action(what, chance.randrange(1000), size, pause, chance.random() < HURRIED.get(what, 0))


def smaller(plan: Plan) -> Iterator[Plan]:
    """Plans that do less: without a burst, without a thread, without some actions; those that do least first."""
    for at in range(len(plan.bursts) - 1, 0, -1):
        yield plan._replace(bursts=(*plan.bursts[:at], *plan.bursts[at + 1 :]))
    if plan.threads > 1:
        for thread in range(plan.threads):
            joins = plan.bursts[0][thread]
            rest = [(*burst[:thread], *burst[thread + 1 :]) for burst in plan.bursts]
            rest[0] = ((*joins, *rest[0][0]), *rest[0][1:])
            yield plan._replace(bursts=tuple(rest))
    for at, burst in enumerate(plan.bursts):
        for thread, actions in enumerate(burst):
            for index in range(len(actions)):
                fewer = (*actions[:index], *actions[index + 1 :])
                changed = (*burst[:thread], fewer, *burst[thread + 1 :])
                yield plan._replace(bursts=(*plan.bursts[:at], changed, *plan.bursts[at + 1 :]))
