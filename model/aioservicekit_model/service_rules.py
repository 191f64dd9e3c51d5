"""The rules of services as data, read from `specs/service.md` as `rules` reads the channel's."""

from .rules import read

__all__ = ["RULES", "SECTIONS"]

SECTIONS, RULES = read("service.md")
