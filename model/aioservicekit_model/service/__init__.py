"""The model of services: what there is to say of them (`states`), how one state follows another (`guards`, `machine`), what holds
in all of them (`properties`), and the natural mistakes that break that (`faults`)."""

from . import machine, states
from .machine import *  # noqa: F403
from .states import *  # noqa: F403

__all__ = [*machine.__all__, *states.__all__]
