"""Channels to test the conformance suite with: sound ones that it must accept, and defective ones that it must refuse."""

from .defective import DEFECTS, Defect
from .plain import Target
from .sound import SOUND

__all__ = ["DEFECTS", "SOUND", "Defect", "Target"]
