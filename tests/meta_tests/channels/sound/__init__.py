"""Sound channels that have little in common but the rules. A suite that depends on more than the rules refuses one.

Each docstring says how the channel differs. `SOUND` lists them all, and `channels.sound:<name>` is a target for the command.
"""

from ..plain import ChannelState, PlainChannel, Target
from .timers import (
    BusyChannel,
    DistrustfulChannel,
    GeneratingChannel,
    HousekeepingChannel,
    LeftBehindError,
    OwnErrorChannel,
    PatientChannel,
    PollingChannel,
    TickingChannel,
)
from .timing import LateSendsChannel, RestlessChannel, UnhurriedChannel
from .with_arbiter import ArbiterChannel, EndOfChannel, Phase
from .with_condition import ConditionChannel
from .with_futures import HandingChannel
from .with_log import LogChannel

__all__ = ["SOUND"]

SOUND: dict[str, Target] = {
    "plain": Target(PlainChannel),
    "restless": Target(RestlessChannel),
    "unhurried": Target(UnhurriedChannel),
    "late_sends": Target(LateSendsChannel),
    "condition": Target(ConditionChannel),
    "handing": Target(HandingChannel),
    "log": Target(LogChannel),
    "arbiter": Target(ArbiterChannel, Phase, EndOfChannel),
    "polling": Target(PollingChannel),
    "ticking": Target(TickingChannel),
    "patient": Target(PatientChannel),
    "distrustful": Target(DistrustfulChannel),
    "housekeeping": Target(HousekeepingChannel),
    "busy": Target(BusyChannel),
    "own_error": Target(OwnErrorChannel, ChannelState, LeftBehindError),
    "generating": Target(GeneratingChannel),
}


def __getattr__(name: str) -> Target:
    try:
        return SOUND[name]
    except KeyError:
        raise AttributeError(name) from None
