"""The minimiser: find a shorter case that still shows the same failure.

Hypothesis shrinks what it has drawn, and could do this too: a second run of the state machine would fail only where the rule in
question is blamed. Measured with twelve planted defects, 300 cases each:

|                                      | Hypothesis           | this minimiser       |
|--------------------------------------|----------------------|----------------------|
| failures that it can start from      | 8, those drawn again | 12, scripts too      |
| time for one rule                    | 4 to 21 s            | 0.01 to 0.9 s        |
| time to a verdict, for all twelve    | 157 s                | 62 s                 |
| operations of the shortest histories | 9 7 17 7 12 8 7 9    | 7 6 8 7 6 5 7 7      |

Hypothesis can only start from what it has drawn, not from a script. It shrinks draws, of which an operation has several. And each
of its attempts asks thirty relaxed models which rules to blame. Hence this minimiser. It is the only one, and it has two users:
exploring leaves out what it can from a refused case, so that few rules explain it, and the report shows the shortest history that
blames a rule.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

from ..running.case import Action, Case, replay

__all__ = ["Simpler", "anything_simpler", "fewer_actions", "minimise"]

# Ways to make a case simpler: a channel's size, and actions.
Simpler = Callable[[Case], Iterator[tuple[int, list[Action]]]]


def minimise(case: Case, still: Callable[[Case], bool], simpler: Simpler) -> Case:
    """Make a case simpler, step by step, until no step gives a simpler case that still shows the failure.

    Args:
        still: whether a case shows the failure.
        simpler: the steps to try, the largest first.
    """
    improved = True
    while improved:
        improved = False
        for default_size, actions in simpler(case):
            attempt = replay(case.target, default_size, actions)
            if _weight(attempt) < _weight(case) and still(attempt):
                case, improved = attempt, True
                break
    return case


def _weight(case: Case) -> tuple[int, ...]:
    """What makes a case hard to read, the worst first."""
    return (
        case.steps,
        len(case.actions),
        sum(action.after is not None for action in case.actions),
        sum((action.after or 0) + (action.size or 0) for action in case.actions),
        case.default_size,
    )


def fewer_actions(case: Case) -> Iterator[tuple[int, list[Action]]]:
    """Leave out a run of actions, the longest first."""
    actions = case.actions
    length = (len(actions) + 1) // 2
    while length:
        for start in range(0, len(actions) - length + 1, max(1, length // 2)):
            yield case.default_size, actions[:start] + actions[start + length :]
        length //= 2


def anything_simpler(case: Case) -> Iterator[tuple[int, list[Action]]]:
    """Leave out runs of actions, and pairs; make an action simpler; make the channel smaller."""
    yield from fewer_actions(case)
    for pair in combinations(range(len(case.actions)), 2):
        yield case.default_size, [action for index, action in enumerate(case.actions) if index not in pair]
    for index, action in enumerate(case.actions):
        for simpler in _simpler_actions(action):
            yield case.default_size, [*case.actions[:index], simpler, *case.actions[index + 1 :]]
    for default_size in {0, 1} - {case.default_size}:
        yield default_size, case.actions


def _simpler_actions(action: Action) -> Iterator[Action]:
    if action.after is not None:
        yield action._replace(after=None)
        yield from (action._replace(after=fewer) for fewer in range(action.after))
    if action.what == "subscribe":
        yield from (action._replace(size=size) for size in (None, 0, 1) if size != action.size)
    if action.what == "next":
        yield action._replace(what="read")
