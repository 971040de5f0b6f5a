"""What a test may tell the echo projection."""

import enum

import msgspec


class Habit(enum.Enum):
    WELL = "well"
    NEVER_READY = "never_ready"
    CRASHES = "crashes"
    DEAF_TO_STOP = "deaf_to_stop"


class Plan(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    port: int
    habit: Habit = Habit.WELL
