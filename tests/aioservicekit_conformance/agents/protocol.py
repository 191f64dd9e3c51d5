"""The protocol of agents: what its lines say, and what an agent may do without."""

import json
from typing import Any, NamedTuple

__all__ = [
    "MAY_DO_WITHOUT",
    "STATE",
    "Answer",
    "Command",
    "End",
    "Hello",
    "ProtocolError",
    "answer",
    "as_line",
    "hello",
]

Command = dict[str, Any]

PROTOCOL = 1
HELLO: Command = {"do": "hello", "protocol": PROTOCOL}
STATE: Command = {"do": "state"}
REST: Command = {"do": "rest"}
STEP: Command = {"do": "step"}

# What an agent may do without, and the rules that do not apply then.
MAY_DO_WITHOUT = {
    "CH-1.1": ("CH-1.1",),
    "CH-2.3": ("CH-2.3",),
    "CH-3.9": ("CH-3.9",),
    "CH-4.7": ("CH-4.7",),
    "CH-4.8": ("CH-4.8",),
    "CH-5.4": ("CH-5.4",),
    "CH-7.2": ("CH-7.2",),
    "CH-7.3": ("CH-7.3",),
    "cancelling": ("CH-2.6", "CH-3.8", "CH-3.9", "CH-4.5", "CH-4.8"),
}

SHOWN = 60  # characters of a wrong line


class ProtocolError(Exception):
    """An agent's line that the protocol does not have; the text says what was expected, and what came instead."""


class Hello(NamedTuple):
    """What an agent says of itself.

    Attributes:
        language: for people.
        rests: whether it can tell that nothing is left to run.
        steps: whether it can let as little run as its language permits.
        without: what it does without, of `MAY_DO_WITHOUT`.
    """

    language: str
    rests: bool
    steps: bool
    without: frozenset[str]


class End(NamedTuple):
    """The end of an operation: what="returned" with a value, or what="raised" with an error's name and perhaps its text."""

    op: int
    what: str
    value: Any
    text: str = ""


class Answer(NamedTuple):
    """An answer to a command: the operations that have ended since the last one, and the state if that was asked for."""

    ended: tuple[End, ...]
    state: str


def as_line(command: Command) -> str:
    return json.dumps(command, separators=(",", ":"))


def hello(line: str) -> Hello:
    """Parse the answer to `HELLO`.

    Raises:
        ProtocolError: it is not one.
    """
    said = _object(line)
    _expect(said.get("protocol") == PROTOCOL, f'"protocol": {PROTOCOL}', line)
    language = said.get("language")
    _expect(isinstance(language, str) and language, '"language" and its name', line)
    for name in ("rests", "steps"):
        _expect(isinstance(said.get(name, False), bool), f'"{name}": true or false', line)
    _expect("rests" in said, '"rests": true or false', line)
    without = said.get("without", [])
    _expect(isinstance(without, list), '"without" and a list', line)
    for each in without:
        _expect(each in MAY_DO_WITHOUT, f'of {", ".join(MAY_DO_WITHOUT)} in "without"', json.dumps(each))
    return Hello(str(language), said["rests"], said.get("steps", False), frozenset(without))


def answer(line: str, command: Command) -> Answer:
    """Parse the answer to any other command.

    Raises:
        ProtocolError: it is not one, or it reports an error of the agent's.
    """
    said = _object(line)
    if "error" in said:
        raise ProtocolError(f"an agent that reports an error: {_shown(str(said['error']))}")
    ended = said.get("ended", [])
    _expect(isinstance(ended, list), '"ended" and a list', line)
    state = said.get("state", "")
    _expect(isinstance(state, str) and (state or command != STATE), '"state" and a name', line)
    return Answer(tuple(map(_end, ended)), state)


def _end(said: Any) -> End:
    shown = json.dumps(said)
    expected = 'the end of an operation, {"op": 1, "returned": null} or {"op": 1, "raised": "name"},'
    _expect(isinstance(said, dict) and type(said.get("op")) is int, expected, shown)
    _expect(("returned" in said) != ("raised" in said), expected, shown)
    what = "returned" if "returned" in said else "raised"
    _expect(what == "returned" or (isinstance(said[what], str) and said[what]), expected, shown)
    text = said.get("text", "")
    _expect(isinstance(text, str), '"text" and a text', shown)
    return End(said["op"], what, said[what], text)


def _object(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    _expect(isinstance(said, dict), "a line with a JSON object", line)
    assert isinstance(said, dict)
    return said


def _expect(holds: object, what: str, line: str) -> None:
    if not holds:
        raise ProtocolError(f"words that its protocol does not have: expected {what}, not {_shown(line)}")


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
