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
    # default size, script, what it is about; "..." goes on from the line above
    (0, "s1 p1. /"),  # the channel closes while a publisher joins
    (0, "s1. p1. /"),  # ... while both sides join
    (0, "p1 s1. / p1!"),  # ... while a subscriber joins
    (1, "s1=0 p1 p1! p1! s1? s1?"),  # unbounded, though the default is 1
    (1, "s1 p1 p1! p1! / p1!"),  # the channel closes while a send waits
    (0, "p1 p2 /p1 s1 /s1 /p2"),  # one comes and goes before it opens; then the only subscriber leaves
    (0, "p1 /p1 s1 /s1 p2 s2 p2! s2?"),  # all come and go before it opens
    (0, "p1 /p1 p1!"),  # a closed publisher sends before it opens
    (0, "s1 p1 p2 /p1 p3 p1! /p1 p3!"),  # a closed publisher sends, and closes again
    (0, "s1 s2 p1 /s1 s3 p1! s1? /s1 p1! s3? s3?"),  # a closed subscriber reads, and closes again
    (0, "s1 /s1 s1? s1*"),  # a closed subscriber reads before it opens
    (0, "s1 /s1 p1 /p1 s2 p2 p2! s2?"),  # it opens with the second of each
    (0, "s1 s2 /s1 p1 p1! p2 /p1 p2! s2?"),  # one of two leaves before it opens, and one of two after
    (1, "p1 p1! s1 p1! p1! s1? s1? s1?. p1! /"),  # a send to nobody, one that waits, and one to a read that waits
    (2, "s1 s2=1 s3=0 p1 p1! p1! s2? s1? /s2 p1! p1! s1?"),  # three sizes; the smallest leaves
    (1, "s1=2 s2 p1 p1! p1! s2? s1?"),  # an own size beside the default
    (1, "s1 p1 p2 p1! p2! p1! x5 s1? s1? s1? s1?"),  # the first of two sends in line is cancelled
    (1, "s1 p1 p1! p1! p1! s1?. x4 s1? s1?"),  # a send is cancelled just as there is room for it
    (1, "s1 p1 p2 p1! p1! p2! s1?. /p1 s1? s1?"),  # a publisher closes just as there is room for its send
    (2, "s1 p1 p1! p1! p1! p1! s1?. s1?. s2=1 s1? s1? s2? s2?"),  # a small subscriber joins just as two sends have room
    (1, "s1 s2 p1 p1! p1! p1! /s1. s2? s2? s2?"),  # one of two full subscribers leaves
    (0, "s1 p1 s1? s1? p1!. x3 p1! s1?"),  # a read is cancelled just as its message comes
    (0, "s1 p1 s1? s1? s1? p1!. p1!. x4 p1! /"),  # ... the second of three, with two messages
    (0, "s1 p1 s1* p1!. x3 s1? /s1 s1*"),  # ... a step of an iteration
    (0, "s1 p1 s1? s1? p1!. /s1 s1? s1?"),  # the subscriber closes just as a message comes to the first of two reads
    (1, "s1 s2 p1 s2? p1! p1! s2? s2? x7 / s1? s2?"),  # a read is cancelled while another subscriber is full
    (1, "s1 s2=2 p1 p1! p1! /s1"),  # the only full subscriber leaves
    (2, "s1 p1 p1! p1! p1! p1! s1?. s1?"),  # two reads at once make room for two sends
    (1, "s1 p1 p1! p1! s1?. /"),  # the channel closes just as there is room
    (1, "s1 p1 p2 p1! p1! /p1 s1? p1! p2! p2!"),  # a publisher closes while its send waits; another one sends
    (1, "s1 p1 p1! p1! p1! x4. s1?"),  # the first send in line is cancelled, and a read makes room before anything runs
    (1, "s1 p1 p1! p1! s1?. p1! s1? s1?"),  # a new send comes just as there is room for one that waits
    (0, "s1 p1 s1? s1? x3. p1!"),  # the first read in line is cancelled, and a message comes before anything runs
    (0, "s1 p1 s1? x3. p1! s1?"),  # ... the only one
    (0, "s1 p1 s1? p1!. s1? p1!"),  # a new read comes just as a message comes to one that waits
    (0, "s1 p1 s1? s1? /s1 s1* /s1"),  # a subscriber closes while reads wait
    (1, "s1 p1 p1! p1! s2 p1! s1? s2? s1? s2?"),  # a subscriber joins while sends wait
    (1, "s1 p1 s2. / s2? p2 s3"),  # the channel closes while another subscriber joins
    (1, "s1 p1 p2 p1! p2! p1! p2! s1? s1? s1? s1?"),  # two publishers take turns in line
    (1, "s1 p1 p2 p1! p1! p2! p1! s1? s1? s1? s1?"),  # ... and do not
    # a small subscriber joins just as two of three sends have room
    (2, "s1 p1 p1! p1! p1! p1! p1! s1?. s1?. s2=1 s2? s1? s2? s1? s2? s2?"),
    (0, "s1 s2 p1 p2 /p1 /p1 p2! /s2 /s2 p2! s1?"),  # one of two closes twice, on either side: the channel stays open
    (0, "s1 s2 p1 p2 /s2. x5 p1! /p1. x7 p2! s2? s1?"),  # closings are cancelled
    (0, "s1 p1 s1? /. x4 p1! s1?"),  # the closing of the channel is cancelled
    (0, "s1 p1 p1!.1 x3 s1?"),  # a send that finds room is cancelled a callback later
    (0, "s1 p1 p1!.2 x3 s1?"),  # ... two callbacks later
    (0, "s1 p1 p1!. x3 s1? s1?"),  # ... at once
    (0, "s1 p1 p1! s1?. x4 s1?"),  # a read that finds a message is cancelled at once
    (0, "s1 p1 s1? s1? p1!. p1!"),  # two messages come at once to two reads
    (0, "s1 s2 p1 s1? /p1"),  # the only publisher leaves while a read waits
    (0, "s1 p1 s1? p1!. p1!. x3 s1? s1?"),  # a read is cancelled just as two messages have come
    (0, "s1 p1 p2. / p2!"),  # the channel closes while a second publisher joins
    (1, "s1 p1 p2 p1! p1! p1! /p1 s1? s1?"),  # a publisher closes with two sends in line
    (1, "s1 p1 p2 p1! p1! s1?. /p1 s1?"),  # ... just as one of them has room
    (1, "s1 p1 p2 p1! p1! /p1. s1? s1?"),  # ... and reads come before its send has heard of it
    (1, "s1 s2=0 p1 p2 p1! p1! /p1. /s1 s2? s2?"),  # ... and the full subscriber closes before its send has heard of it
    (0, "s1 s2 p1 s1? /s1. p1! s1? s2?"),  # a subscriber closes, and a message comes before its read has heard of it
    (1, "s1 s2 p1 p1! /s2 s2? p1! s1?"),  # a closed subscriber still has a message, and gets no more
    # two reads at once, one send that waits, one that comes
    (2, "s1 s2=0 p1 p1! p1! p1! s1?. s1?. p1! s1? s1? s2? s2? s2? s2?"),
    (1, "s1 p1 p1! p1! p1! p1! /"),  # the channel closes while three sends wait
    (1, "s1 p1 p1! p1! p2 s2 s1?"),  # both sides grow while a send waits
    (1, "s1 s2=0 p1 p1! p1! x5 s2? s2?"),  # a cancelled send reaches nobody, not even who has room
    (1, "s1 s2=0 p1 p1! p1! s2? s2? s1? s1?"),  # who has room gets nothing before all have
    (1, "p1 s1. x2 p1! p1! s2 s2?"),  # a join is cancelled before the channel opens
    (1, "s1=0 p1 s2. x3 p1! p1! s1? s1?"),  # a bounded subscriber's join is cancelled
    (0, "s1. x1 p1 p1! s2 /p1"),  # the first join is cancelled
    (0, "p1. x1 s1 p2 /p2"),  # ... of a publisher
    (0, "s1 p1. x2 p2 /p2 s1?"),  # the join that would open it is cancelled
    (0, "s1 p1 s2. x3 /s1 p1!"),  # the only subscriber leaves after another one's join was cancelled
    (0, "s1=1 s2=0 p1 p1! p1! s1? s3=0 p1!"),  # a subscriber joins just after there was room, and again none
    (0, "s1=0 s2=1 p1 p1! p1! s2? s3=0 p1!"),  # ... the second one made room
    (1, "s1 p1 p1!. p1! s1? s1?"),  # two sends at once, with room for one
    (0, "s1 s2 p1 s1? p1!. p1! s1? s2? s2?"),  # two sends at once; one reader waits
    # the full subscriber leaves, and a send comes before the waiting one has run
    (1, "s1 s2=0 p1 p1! p1! /s1. p1! s2? s2? s2?"),
    (1, "s1 s2=0 p1 p1! p1! /s1. s3 p1! s2? s2? s2?"),  # ... and a small subscriber joins before that
    (0, "s1=2 s2=1 p1 p1! p1! /s1 p1!"),  # who leaves is not the one that is full
    (0, "s1=0 s2=1 p1 p1! /s1 p1!"),  # ... and has no limit
    (0, "s1 p1 s1? p1!. /s1. s1?"),  # the subscriber closes just as a message comes to its read
    (0, "s1 p1 s1* p1!. /. s1*"),  # the channel closes just as a message comes to an iteration
    (0, "s1 p1 s1? s1? p1!. /. s1?"),  # ... to the first of two reads
    (0, "s1 p1 s1? p1!. /. x3 s1?"),  # ... to a read, which is cancelled then
    (0, "s1 p1 s1? p1!. p1!. /. s1?"),  # ... with another message behind it
    (0, "s1 p1 s1? p1!. p1!. /s1. s1?"),  # ... the subscriber alone closes
    (0, "s1 p1 s1* p1!. /s1. x3 s1?"),  # ... and the iteration is cancelled
    (0, "s1 p1 s1? s1? s1? p1! p1! p1!"),  # three reads are served in turn
    (0, "s1 p1 s1? s1? s1? s1? p1! x4 p1!"),  # the second of four reads is cancelled after the first was served
    (0, "s1 p1 p1! / s1*"),  # an iteration ends once what is left has been read
    (0, "s1=2 p1 p1! p1! p1! s1? s2=1 p1!"),  # a small subscriber joins after a send had to wait
    (0, "s1=1 p1 p1! p1! s1? s2=3 p1!"),  # ... a larger one
    (0, "s1 p1 s2=1 p1! p1! s2? p1!"),  # ... beside one with no limit, before any send
    # a publisher closes and another one's send is cancelled: nobody is left in line
    (1, "s1 p1 p2 p1! p2! /p1 x5 s1? s1? p3 p3! p3! p3! /s1"),
    (1, "s1 p1 p2 /p1 p3 p2! p2! /p3 s1? s1?"),  # publishers come and go while another one's send waits
    (0, "s1 s2 p1 /s1 s3 s2? /s3 p1!"),  # subscribers come and go while another one's read waits
    (2, "s1 p1 p1! p1! s1* p1! p1! s1* s1? s1?"),  # iterations make room too
    (0, "s1 s2 p1 /s1 s3 /s3 p1! s2?"),  # who comes after one that has left leaves: the others stay
    (0, "s1 p1 p2 /p1 p3 /p3 p2! s1?"),  # ... of publishers
    (0, "s1 s1? /s1. p1"),  # a subscriber with a waiting read leaves before it opens, while a publisher joins
    (0, "s1 p1 s1? s1? s1? x3. x4. p1!"),  # two of three reads are cancelled, and a message comes before anything runs
    # two of three sends are cancelled, and a read makes room before anything runs
    (1, "s1 p1 p1! p1! p1! p1! x4. x5. s1? s1?"),
    (1, "s1 p1 p2 p2! p1!. /p1 s1? s1?"),  # a publisher closes just after its send was called
    # a commit reaches a read that waits, and fills the other subscriber
    (1, "s1 s2 p1 p1! s1? s1? p1! p1! s2? s2? s1? s2?"),
    (1, "s1 s2=0 p1 p1! s2? s2? s2? p1! p1! /s1"),  # sends that commit together reach waiting reads in order
    (0, "s1 s2 s3 s4 s5 p1 p1! s5? s4? s3? s2? s1? /s1 /s2 /s3 /s4 p1! s5? /s5"),  # five subscribers
    # five of each
    (1, "s1 s2 s3 s4 s5 p1 p2 p3 p4 p5 p1! p2! p3! p4! p5! s1? s2? s3? s4? s5? /p1 /p2 /p3 /p4 s1? s2? s3? s4? s5?"),
    (0, "s1 s2 s3 s4 s5=1 p1 p1! p1! p1! s5? s4? /s5"),  # the fifth one alone has a limit
    *((0, f"s1={a} s2={b} s3={c} {FULL_ONE_BY_ONE}".format(*_by_size(a, b, c))) for a, b, c in permutations((1, 2, 3))),
    *((1, f"{joins} p1 p1! p1! p1!") for joins in ONE_LIMITED),
)


def _mirrored(script: str) -> str:
    """The same script with its first two subscribers joining in the other order: the first one in a channel may be special."""
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
