"""The model as an implementation, under the name that command lines and the kill matrix use; see `model_channel`."""

from .model_channel import RELAXABLE, __getattr__, modelled, target_without

__all__ = ["RELAXABLE", "__getattr__", "modelled", "target_without"]
