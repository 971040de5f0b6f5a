"""What a test may tell the echo projection."""

import enum

import msgspec

from bridge.core.listener import Listener


class Habit(enum.Enum):
    WELL = "well"
    NEVER_READY = "never_ready"
    CRASHES = "crashes"
    DEAF_TO_STOP = "deaf_to_stop"
    # the listener answers once and then never again
    ANSWERS_ONCE = "answers_once"
    # a callback raises with every SUM
    STUMBLES = "stumbles"


class Plan(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    port: int
    habit: Habit = Habit.WELL
    listener: Listener = Listener(port=0)
    # in whose name it asks
    protocol: str = "echo"
