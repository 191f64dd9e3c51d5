"""The model of services: a `machine`, to which `restarts` and `blocks` add actions. `properties` says what holds for it, and
`faults` has the natural mistakes that break these properties."""

from .blocks import BLOCK
from .machine import CALLS, INTERNAL, USERS_PART
from .restarts import RESTART, RESTARTING

__all__ = ["ACTIONS", "RULES_OF_THE_TABLE"]

ACTIONS = CALLS + USERS_PART + INTERNAL + RESTART + RESTARTING + BLOCK

RULES_OF_THE_TABLE = frozenset(rule for action in ACTIONS for rule in action.rules) | {
    "SV-1.1"
}  # the rule of the first state
