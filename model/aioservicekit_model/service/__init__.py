"""The model of services: their `state`, and a `machine`, to which `restarts`, `policies`, `signals` and `blocks` add actions.
`properties` says what holds for it, and `faults` has the natural mistakes that break these properties."""

from .blocks import BLOCK, ENTERING
from .machine import CALLS, INTERNAL, USERS_PART
from .policies import FAILING, STARTING_AGAIN, STOPPED_MEANWHILE
from .restarts import RESTART, RESTARTING
from .signals import SIGNALS

__all__ = ["ACTIONS", "BLOCKS", "POLICIES", "RULES_OF_THE_TABLE"]

POLICIES = FAILING + STOPPED_MEANWHILE + STARTING_AGAIN
BLOCKS = ENTERING + BLOCK

ACTIONS = CALLS + SIGNALS + USERS_PART + INTERNAL + RESTART + RESTARTING + POLICIES + BLOCKS

RULES_OF_THE_TABLE = frozenset(rule for action in ACTIONS for rule in action.rules) | {
    "SV-1.1"
}  # the rule of the first state
