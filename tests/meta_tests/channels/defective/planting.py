"""How a defect is planted: a class that changes a step of the plain channel enters the table of defects."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar

from ..plain import ChannelClosedError, PlainChannel, PlainPublisher, PlainSubscriber, SendTicket, Target

__all__ = ["DEFECTS", "Channel", "Defect", "Publisher", "Sending", "Subscriber", "breaks", "closed"]


class Defect(NamedTuple):
    """A channel that the suite must refuse.

    Attributes:
        name: the key in `DEFECTS`.
        rule: the rule that it breaks, and that a report should blame.
        why: the mistake, in one sentence.
        target: the channel.
    """

    name: str
    rule: str
    why: str
    target: Target


DEFECTS: dict[str, Defect] = {}

Class = TypeVar("Class", bound=type[PlainChannel[Any]])
Channel = PlainChannel[Any]
Publisher = PlainPublisher[Any]
Subscriber = PlainSubscriber[Any]
Sending = SendTicket[Any]


def breaks(rule: str, why: str) -> Callable[[Class], Class]:
    """Enter the decorated class into `DEFECTS`, under its name in snake case."""

    def enter(channel: Class) -> Class:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", channel.__name__).lower()
        DEFECTS[name] = Defect(name, rule, why, Target(channel))
        return channel

    return enter


def closed(why: str = "closed") -> NoReturn:
    raise ChannelClosedError(why)
