"""All named checks, in the order in which they run."""

from . import async_with, behaviour, calls, forgetting, late_cancellation, resources, side_by_side
from .check import Check

__all__ = ["BY_NAME", "CHECKS"]

CHECKS: tuple[Check, ...] = (
    *behaviour.CHECKS,
    *calls.CHECKS,
    *side_by_side.CHECKS,
    *late_cancellation.CHECKS,
    *async_with.CHECKS,
    *forgetting.CHECKS,
    *resources.CHECKS,
)
BY_NAME = {(check.rule, check.name): check for check in CHECKS}
