"""The catalogue of all named checks, in the order in which they are run."""

from . import behaviour, blocks, cancelling, resources
from .checking import REGISTERED

__all__ = ["CHECKS"]

MODULES = (behaviour, cancelling, blocks, resources)
CHECKS = [each for module in MODULES for each in REGISTERED if each.program.__module__ == module.__name__]
