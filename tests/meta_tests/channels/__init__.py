"""Channels to test the conformance suite with: sound ones that it must accept, and defective ones that it must refuse."""

from . import defective_ends, sound_timers  # noqa: F401  # they enter their channels into DEFECTS and SOUND
from .defective import DEFECTS, Defect
from .plain import Target
from .sound import SOUND

__all__ = ["DEFECTS", "SOUND", "Defect", "Target"]
