"""All named checks, in the order in which they run."""

from . import async_with, behaviour, forgetting, late_cancellation, resources
from .check import Check

__all__ = ["BY_NAME", "CHECKS"]

CHECKS: tuple[Check, ...] = (
    *behaviour.CHECKS,
    *late_cancellation.CHECKS,
    *async_with.CHECKS,
    *forgetting.CHECKS,
    *resources.CHECKS,
)
BY_NAME = {(check.rule, check.name): check for check in CHECKS}
