"""The model of channels, explored: what holds in every state that users can bring about, and what mistakes break (CH-1 to CH-5)."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from aioservicekit_model.channel import machine
from aioservicekit_model.channel import relaxed as relaxing
from aioservicekit_model.channel.machine import ACTIONS, State
from aioservicekit_model.channel.mistakes import ENDINGS, MISTAKES, NEGLECTS, Ending, Mistake, Neglect
from aioservicekit_model.channel.properties import promises
from aioservicekit_model.channel.relaxed import Relaxed, relaxed, rule_of
from aioservicekit_model.channel.situations import situations
from aioservicekit_model.channel.world import Bounds, Users, World, closed_world
from aioservicekit_model.explorer import explore, violations

PAIR = Bounds(cancellations=1)
ALONE = Bounds(iterating=True, sizes=(None,), default_size=1)
LINE = Bounds(sizes=(2,), messages=2, waiting=2, cancellations=1, joined=True)
EVERYTHING = Bounds(publishers=2, sizes=(1, 2), cancellations=1)

# How many states there are within bounds; pinned, so that a change is noticed.
STATES = {
    PAIR: 660,
    ALONE: 72,
    LINE: 1344,
    Bounds(publishers=2, sizes=(1, 2), joined=True): 1372,
    Bounds(publishers=2, sizes=(1, 2)): 4304,
}
MANY_STATES = {EVERYTHING: 79618, PAIR._replace(reduced=False): 19304}


class Explored(NamedTuple):
    states: int
    taken: set[str]  # the events, actions and mistakes that some step has taken
    broken: dict[str, list[Any]]


def explored(of: Any, bounds: Bounds) -> Explored:
    graph = explore(closed_world(of, bounds))
    return Explored(len(graph.states), {label.step for label in graph.labels}, violations(graph, promises(bounds)))


@pytest.mark.parametrize(
    ("bounds", "states"),
    [*STATES.items(), *(pytest.param(*each, marks=pytest.mark.exhaustive) for each in MANY_STATES.items())],
)
def test_every_property_holds(bounds: Bounds, states: int) -> None:
    """No state within the bounds breaks a promise, each situation comes about, and the states are as many as ever."""
    graph = explore(closed_world(machine, bounds))
    assert violations(graph, promises(bounds) | situations(bounds)) == {}
    assert len(graph.states) == states


def test_every_action_is_taken() -> None:
    """No action of the table is there in vain."""
    assert {action.name for action in ACTIONS} - {"close"} <= explored(machine, PAIR).taken  # it closes at the call


def test_nothing_relaxed_is_the_machine() -> None:
    """The machine with no rule relaxed has the same states."""
    assert explored(relaxed(), PAIR).states == STATES[PAIR]


# ---------------------------------------------------------------------------------------------------------------- mistakes


BOUNDS = (
    Bounds(),
    ALONE,
    Bounds(sizes=(1, 2), messages=2, joined=True, closings=False),
    Bounds(publishers=2, joined=True),
    Bounds(messages=2, cancellations=1, joined=True),
    Bounds(sizes=(1, 1), messages=2, joined=True),
    Bounds(sizes=(0, None), default_size=2),
    PAIR,
    LINE,
    Bounds(messages=3, waiting=2, cancellations=1, joined=True),
)

# These do no harm by themselves: they only come after another one, which is switched on with them.
AFTER = {
    "leave the endpoints forgotten": "close and forget endpoints",
    "leave open what has joined late": "join what is closed",
    "commit to the rest": "deliver to one",
    "CH-5.1b not met, against CH-1.4": "leave the channel open, for ever",
    "close and go on receiving": "commit to the lingering too",
    "commit to the lingering too": "close and go on receiving",
}


class Wrong(NamedTuple):
    """A machine that is wrong in one way, against one obligation."""

    name: str
    obligation: str
    build: Any

    def __str__(self) -> str:
        return self.name


def with_only(*wrong: Mistake | Ending | Neglect) -> Relaxed:
    """A machine that makes just these mistakes: they are filed under an obligation that nothing else stands under."""
    obligations = {each.rule: rule_of(each.rule) + "h" for each in wrong}
    tables: dict[type, list[Any]] = {Mistake: [], Ending: [], Neglect: []}
    for each in wrong:
        tables[type(each)].append(each._replace(rule=obligations[each.rule]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaxing, "MISTAKES", tuple(tables[Mistake]))
        patch.setattr(relaxing, "ENDINGS", tuple(tables[Ending]))
        patch.setattr(relaxing, "NEGLECTS", tuple(tables[Neglect]))
        return Relaxed(frozenset(obligations.values()))


def without_guard(name: str, rule: str) -> Relaxed:
    """A machine one of whose actions lacks one of its guards."""
    with pytest.MonkeyPatch.context() as patch:
        for table in ("MISTAKES", "ENDINGS", "NEGLECTS"):
            patch.setattr(relaxing, table, ())
        less = (
            action._replace(guards={each: guard for each, guard in action.guards.items() if each != rule})
            if action.name == name
            else action
            for action in ACTIONS
        )
        patch.setattr(relaxing, "ACTIONS", tuple(less))
        return Relaxed(frozenset())


def name_of(wrong: Mistake | Ending | Neglect) -> str:
    return f"{wrong.obligation} not met, against {wrong.rule}" if isinstance(wrong, Neglect) else wrong.name


def named(name: str) -> Mistake | Neglect:
    tables: tuple[Mistake | Neglect, ...] = (*MISTAKES, *NEGLECTS)
    return next(each for each in tables if name_of(each) == name)


def wrong() -> Iterator[Wrong]:
    """Every way in which the relaxed machine can go wrong, each by itself."""
    for action in ACTIONS:
        for rule in action.guards:
            yield Wrong(f"{action.name}, without {rule}", rule, partial(without_guard, action.name, rule))
    tables: tuple[Mistake | Ending | Neglect, ...] = (*MISTAKES, *ENDINGS, *NEGLECTS)
    for each in tables:
        name = name_of(each)
        both = (each, named(AFTER[name])) if name in AFTER else (each,)
        yield Wrong(name, each.rule, partial(with_only, *both))
    yield Wrong("a new channel in any phase", "CH-1.1a", partial(relaxed, "CH-1.1a"))
    yield Wrong("a phase that comes again", "CH-1.7", partial(relaxed, "CH-1.7"))


WRONG = tuple(wrong())


def stands_for(promise: str, obligation: str) -> bool:
    """Whether a promise names an obligation, or some obligation of a rule that has no letters."""
    return obligation in {
        name if obligation[-1].isalpha() else rule_of(name) for name in re.findall(r"CH-[\w.]+", promise)
    }


@pytest.mark.parametrize("each", WRONG, ids=str)
def test_a_mistake_breaks_what_its_rule_stands_for(each: Wrong) -> None:
    """Each mistake, alone, breaks a promise that names its obligation, within small bounds."""
    of = each.build()
    for bounds in BOUNDS:
        shown = [path for promise, path in explored(of, bounds).broken.items() if stands_for(promise, each.obligation)]
        if shown:
            assert min(map(len, shown)) <= 13
            return
    pytest.fail("no bounds show it")


@pytest.mark.parametrize("name", AFTER)
def test_a_mistake_that_comes_after_another_is_harmless_without_it(name: str) -> None:
    """Nothing is broken by what follows on a mistake that is not made."""
    found = explored(with_only(named(name)), Bounds(sizes=(1, 2), joined=True))
    assert found.broken == {}


class Lazy:
    """The machine, which never takes one of its actions."""

    def __init__(self, action: str) -> None:
        self.initial, self.see = machine.initial, machine.see
        self.never = action

    def steps(self, state: State) -> Iterator[tuple[Any, Any, State]]:
        return (step for step in machine.steps(state) if step[0].name != self.never)


@pytest.mark.parametrize(
    ("action", "promises"),
    [
        ("commit", ("a send ends if every subscriber is read", "what must not wait goes on", "it is at rest where")),
        ("take", ("a send ends if every subscriber is read", "a read ends if there is a message for it")),
        ("join", ("what must not wait goes on",)),
    ],
)
def test_what_is_put_off_for_ever_breaks_progress(action: str, promises: tuple[str, ...]) -> None:
    """A machine that never does what is due is stuck, and some operation never ends."""
    broken = explored(Lazy(action), Bounds(messages=2, joined=action != "join")).broken
    for each in promises:
        assert any(each in promise for promise in broken)


def test_no_situation_comes_about_without_its_cause() -> None:
    """Where nothing can be sent or read no situation comes about."""
    graph = explore(closed_world(machine, Bounds(publishers=0, sizes=(), closings=False)))
    wanted = situations(Bounds(publishers=2, sizes=(1, 1), cancellations=1, waiting=2))
    assert set(violations(graph, wanted)) == set(wanted)


# Each reduction has something to do in one of these: who may be cancelled, what was taken, who joins when, which line is which.
REDUCIBLE = (
    Bounds(messages=2, cancellations=1, joined=True, closings=False),
    Bounds(joined=True),
    Bounds(messages=2, waiting=2, joined=True, closings=False),
    Bounds(sizes=(1, 1), closings=False),
    Bounds(publishers=2, sizes=(), closings=False),
)


def verdicts(of: Any, bounds: Bounds) -> tuple[set[str], set[str]]:
    """The broken promises, with states told apart that nobody can tell apart, and with the reductions."""
    unreduced = explored(of, bounds._replace(reduced=False))
    reduced = explored(of, bounds)
    assert reduced.states < unreduced.states
    return set(unreduced.broken), set(reduced.broken)


@pytest.mark.exhaustive
@pytest.mark.parametrize("each", WRONG, ids=str)
def test_the_reductions_keep_every_verdict(each: Wrong) -> None:
    """With the reductions, the same promises are broken as without them, and no others."""
    of = each.build()
    for bounds in REDUCIBLE:
        unreduced, reduced = verdicts(of, bounds)
        assert reduced == unreduced, bounds


def forget_who_may_be_cancelled(world: World) -> World:
    return world._replace(chosen=frozenset())


def forget_what_was_due(world: World) -> World:
    return world._replace(due=((),) * len(world.due))


@pytest.mark.parametrize("too_much", [forget_who_may_be_cancelled, forget_what_was_due])
def test_a_reduction_that_goes_too_far_is_noticed(
    too_much: Callable[[World], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reduction that forgets what somebody can notice changes the verdict on a mistake."""
    sound = Users.reduced
    monkeypatch.setattr(Users, "reduced", lambda users, world: too_much(sound(users, world)))
    unreduced, reduced = verdicts(without_guard("give up the send", "CH-3.8a"), REDUCIBLE[0])
    assert reduced != unreduced
