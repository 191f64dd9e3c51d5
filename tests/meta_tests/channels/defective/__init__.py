"""Defective channels: each is a sound one with one natural mistake, which breaks one rule and as little else as possible.

`DEFECTS` lists them all, and `channels.defective:<name>` is a target for the command. There is a module for each section of the
rules, and one for each of three kinds of mistakes that have many variants.
"""

from ..plain import Target
from . import blocks, closing, joining, late_requests, reading, room, sending, state  # noqa: F401  # each fills the table
from .planting import DEFECTS, Defect

__all__ = ["DEFECTS", "Defect"]


def __getattr__(name: str) -> Target:
    try:
        return DEFECTS[name].target
    except KeyError:
        raise AttributeError(name) from None
