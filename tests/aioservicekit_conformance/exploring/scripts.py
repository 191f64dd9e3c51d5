"""Cases that come before the drawn ones: short ones in which each rule forbids something, and rare races.

A script is a line of words. `s1` and `p1` join (`s1=2` with a buffer size), `p1!` sends, `s1?` reads, `s1*` is a step of `async
for`, `x3` cancels the third operation, and `/s1`, `/p1` and `/` close an endpoint or the channel. After a word, everything runs
until it rests. After a word with `.` nothing runs, and after a word with `.1` one callback runs.
"""

import re
from itertools import permutations

from ..running.case import Action

__all__ = ["SCRIPTS", "parse"]

# Three subscribers of sizes 1, 2 and 3. With these scripts, each of them in turn is the only full one.
FULL_ONE_BY_ONE = "p1 p1! {0}? p1! {0}? p1! {1}? {0}? {1}? {1}? p1! {2}?"

# Three subscribers, of which only one has a limit. It is not the default, so nobody can take it for the default either.
ONE_LIMITED = ("s1=2 s2=0 s3=0", "s1=0 s2=2 s3=0", "s1=0 s2=0 s3=2")


def _by_size(*sizes: int) -> list[str]:
    """The names of the subscribers of size 1, 2 and so on."""
    return [f"s{sizes.index(size) + 1}" for size in sorted(sizes)]


_SCRIPTS = (
    # default size, script
    (0, "s1 p1. /"),
    (0, "s1. p1. /"),
    (0, "p1 s1. / p1!"),
    (1, "s1=0 p1 p1! p1! s1? s1?"),
    (1, "s1 p1 p1! p1! / p1!"),
    (0, "p1 p2 /p1 s1 /s1 /p2"),
    (0, "p1 /p1 s1 /s1 p2 s2 p2! s2?"),
    (0, "p1 /p1 p1!"),
    (0, "s1 p1 p2 /p1 p3 p1! /p1 p3!"),
    (0, "s1 s2 p1 /s1 s3 p1! s1? /s1 p1! s3? s3?"),
    (0, "s1 /s1 s1? s1*"),
    (0, "s1 /s1 p1 /p1 s2 p2 p2! s2?"),
    (0, "s1 s2 /s1 p1 p1! p2 /p1 p2! s2?"),
    (1, "p1 p1! s1 p1! p1! s1? s1? s1?. p1! /"),
    (2, "s1 s2=1 s3=0 p1 p1! p1! s2? s1? /s2 p1! p1! s1?"),
    (1, "s1=2 s2 p1 p1! p1! s2? s1?"),
    (1, "s1 p1 p2 p1! p2! p1! x5 s1? s1? s1? s1?"),
    (1, "s1 p1 p1! p1! p1! s1?. x4 s1? s1?"),
    (1, "s1 p1 p2 p1! p1! p2! s1?. /p1 s1? s1?"),
    (2, "s1 p1 p1! p1! p1! p1! s1?. s1?. s2=1 s1? s1? s2? s2?"),
    (1, "s1 s2 p1 p1! p1! p1! /s1. s2? s2? s2?"),
    (0, "s1 p1 s1? s1? p1!. x3 p1! s1?"),
    (0, "s1 p1 s1? s1? s1? p1!. p1!. x4 p1! /"),
    (0, "s1 p1 s1* p1!. x3 s1? /s1 s1*"),
    (0, "s1 p1 s1? s1? p1!. /s1 s1? s1?"),
    (1, "s1 s2 p1 s2? p1! p1! s2? s2? x7 / s1? s2?"),
    (1, "s1 s2=2 p1 p1! p1! /s1"),
    (2, "s1 p1 p1! p1! p1! p1! s1?. s1?"),
    (1, "s1 p1 p1! p1! s1?. /"),
    (1, "s1 p1 p2 p1! p1! /p1 s1? p1! p2! p2!"),
    (1, "s1 p1 p1! p1! p1! x4. s1?"),
    (1, "s1 p1 p1! p1! s1?. p1! s1? s1?"),
    (0, "s1 p1 s1? s1? x3. p1!"),
    (0, "s1 p1 s1? x3. p1! s1?"),
    (0, "s1 p1 s1? p1!. s1? p1!"),
    (0, "s1 p1 s1? s1? /s1 s1* /s1"),
    (1, "s1 p1 p1! p1! s2 p1! s1? s2? s1? s2?"),
    (1, "s1 p1 s2. / s2? p2 s3"),
    (1, "s1 p1 p2 p1! p2! p1! p2! s1? s1? s1? s1?"),
    (1, "s1 p1 p2 p1! p1! p2! p1! s1? s1? s1? s1?"),
    (2, "s1 p1 p1! p1! p1! p1! p1! s1?. s1?. s2=1 s2? s1? s2? s1? s2? s2?"),
    (0, "s1 s2 p1 p2 /p1 /p1 p2! /s2 /s2 p2! s1?"),
    (0, "s1 s2 p1 p2 /s2. x5 p1! /p1. x7 p2! s2? s1?"),
    (0, "s1 p1 s1? /. x4 p1! s1?"),
    (0, "s1 p1 p1!.1 x3 s1?"),
    (0, "s1 p1 p1!.2 x3 s1?"),
    (0, "s1 p1 p1!. x3 s1? s1?"),
    (0, "s1 p1 p1! s1?. x4 s1?"),
    (0, "s1 p1 s1? s1? p1!. p1!"),
    (0, "s1 s2 p1 s1? /p1"),
    (0, "s1 p1 s1? p1!. p1!. x3 s1? s1?"),
    (0, "s1 p1 p2. / p2!"),
    (1, "s1 p1 p2 p1! p1! p1! /p1 s1? s1?"),
    (1, "s1 p1 p2 p1! p1! s1?. /p1 s1?"),
    (1, "s1 p1 p2 p1! p1! /p1. s1? s1?"),
    (1, "s1 s2=0 p1 p2 p1! p1! /p1. /s1 s2? s2?"),
    (0, "s1 s2 p1 s1? /s1. p1! s1? s2?"),
    (1, "s1 s2 p1 p1! /s2 s2? p1! s1?"),
    (2, "s1 s2=0 p1 p1! p1! p1! s1?. s1?. p1! s1? s1? s2? s2? s2? s2?"),
    (1, "s1 p1 p1! p1! p1! p1! /"),
    (1, "s1 p1 p1! p1! p2 s2 s1?"),
    (1, "s1 s2=0 p1 p1! p1! x5 s2? s2?"),
    (1, "s1 s2=0 p1 p1! p1! s2? s2? s1? s1?"),
    (1, "p1 s1. x2 p1! p1! s2 s2?"),
    (1, "s1=0 p1 s2. x3 p1! p1! s1? s1?"),
    (0, "s1. x1 p1 p1! s2 /p1"),
    (0, "p1. x1 s1 p2 /p2"),
    (0, "s1 p1. x2 p2 /p2 s1?"),
    (0, "s1 p1 s2. x3 /s1 p1!"),
    (0, "s1=1 s2=0 p1 p1! p1! s1? s3=0 p1!"),
    (0, "s1=0 s2=1 p1 p1! p1! s2? s3=0 p1!"),
    (1, "s1 p1 p1!. p1! s1? s1?"),
    (0, "s1 s2 p1 s1? p1!. p1! s1? s2? s2?"),
    (1, "s1 s2=0 p1 p1! p1! /s1. p1! s2? s2? s2?"),
    (1, "s1 s2=0 p1 p1! p1! /s1. s3 p1! s2? s2? s2?"),
    (0, "s1=2 s2=1 p1 p1! p1! /s1 p1!"),
    (0, "s1=0 s2=1 p1 p1! /s1 p1!"),
    (0, "s1 p1 s1? p1!. /s1. s1?"),
    (0, "s1 p1 s1* p1!. /. s1*"),
    (0, "s1 p1 s1? s1? p1!. /. s1?"),
    (0, "s1 p1 s1? p1!. /. x3 s1?"),
    (0, "s1 p1 s1? p1!. p1!. /. s1?"),
    (0, "s1 p1 s1? p1!. p1!. /s1. s1?"),
    (0, "s1 p1 s1* p1!. /s1. x3 s1?"),
    (0, "s1 p1 s1? s1? s1? p1! p1! p1!"),
    (0, "s1 p1 s1? s1? s1? s1? p1! x4 p1!"),
    (0, "s1 p1 p1! / s1*"),
    (0, "s1=2 p1 p1! p1! p1! s1? s2=1 p1!"),
    (0, "s1=1 p1 p1! p1! s1? s2=3 p1!"),
    (0, "s1 p1 s2=1 p1! p1! s2? p1!"),
    (1, "s1 p1 p2 p1! p2! /p1 x5 s1? s1? p3 p3! p3! p3! /s1"),
    (1, "s1 p1 p2 /p1 p3 p2! p2! /p3 s1? s1?"),
    (0, "s1 s2 p1 /s1 s3 s2? /s3 p1!"),
    (2, "s1 p1 p1! p1! s1* p1! p1! s1* s1? s1?"),
    (0, "s1 s2 p1 /s1 s3 /s3 p1! s2?"),
    (0, "s1 p1 p2 /p1 p3 /p3 p2! s1?"),
    (0, "s1 s1? /s1. p1"),
    (0, "s1 p1 s1? s1? s1? x3. x4. p1!"),
    (1, "s1 p1 p1! p1! p1! p1! x4. x5. s1? s1?"),
    (1, "s1 p1 p2 p2! p1!. /p1 s1? s1?"),
    (1, "s1 s2 p1 p1! s1? s1? p1! p1! s2? s2? s1? s2?"),
    (1, "s1 s2=0 p1 p1! s2? s2? s2? p1! p1! /s1"),
    (0, "s1 s2 s3 s4 s5 p1 p1! s5? s4? s3? s2? s1? /s1 /s2 /s3 /s4 p1! s5? /s5"),
    (1, "s1 s2 s3 s4 s5 p1 p2 p3 p4 p5 p1! p2! p3! p4! p5! s1? s2? s3? s4? s5? /p1 /p2 /p3 /p4 s1? s2? s3? s4? s5?"),
    (0, "s1 s2 s3 s4 s5=1 p1 p1! p1! p1! s5? s4? /s5"),
    *((0, f"s1={a} s2={b} s3={c} {FULL_ONE_BY_ONE}".format(*_by_size(a, b, c))) for a, b, c in permutations((1, 2, 3))),
    *((1, f"{joins} p1 p1! p1! p1!") for joins in ONE_LIMITED),
)


def _mirrored(script: str) -> str:
    """The same scripts with the first two subscribers joining in the other order: the first one in a channel may be special."""
    first, second, *others = script.split()
    return " ".join([second, first, *others])


SCRIPTS = _SCRIPTS + tuple(
    (size, _mirrored(script))
    for size, script in _SCRIPTS
    if re.match(r"s1(=\d)? s2(=\d)? (?!s3)", script) and "=" in script
)

WORD = re.compile(r"(?P<verb>[/x]?)(?P<name>[sp]?\d*)(=(?P<size>\d+))?(?P<mark>[!?*]?)(\.(?P<after>\d*))?")


def parse(script: str) -> list[Action]:
    """The actions of a script; operations are numbered in the order of the words, without the cancellations."""
    actions: list[Action] = []
    number = 0
    for word in script.split():
        match = WORD.fullmatch(word)
        assert match, f"not a word of a script: {word!r}"
        verb, name, mark = match["verb"], match["name"], match["mark"]
        after = None if "." not in word else int(match["after"] or 0)
        if verb == "x":
            actions.append(Action(int(name), "cancel", after=after))
            continue
        number += 1
        if verb == "/":
            what, name = "close", name or "channel"
        elif mark:
            what = {"!": "send", "?": "read", "*": "next"}[mark]
        else:
            what = {"s": "subscribe", "p": "connect"}[name[0]]
        actions.append(Action(number, what, name, int(match["size"]) if match["size"] else None, after))
    return actions
