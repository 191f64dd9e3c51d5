"""The model as an implementation, by the name that command lines and the kill matrix use; it stands in `model_channel`."""

from .model_channel import RELAXABLE, __getattr__, modelled, target_without

__all__ = ["RELAXABLE", "__getattr__", "modelled", "target_without"]
