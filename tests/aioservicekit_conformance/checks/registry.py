"""All named checks, in the order in which they run."""

from . import async_with, calls, forgetting, instants, late_cancellation, messages, resources, side_by_side, sizes
from .check import Check

__all__ = ["BY_NAME", "CHECKS"]

CHECKS: tuple[Check, ...] = (
    *instants.CHECKS,
    *sizes.CHECKS,
    *messages.CHECKS,
    *calls.CHECKS,
    *side_by_side.CHECKS,
    *late_cancellation.CHECKS,
    *async_with.CHECKS,
    *forgetting.CHECKS,
    *resources.CHECKS,
)
BY_NAME = {(check.rule, check.name): check for check in CHECKS}
