"""What `services.history` of site.yaml may say."""

from typing import Annotated

import msgspec

# Energies that are billed
BILLED = (
    "*.active_energy_import",
    "*.active_energy_export",
    "*.reactive_energy_import",
    "*.reactive_energy_export",
)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: unknown keys are mistakes."""


class RecordKey(_Strict, frozen=True):
    """
    Points whose values are recorded. `every_s`: one value a period; 0 = every change, of more than `deadband` where
    that is a number. `keep_days`: how long. The first key that matches a point decides.
    """

    match: str
    every_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    keep_days: Annotated[float, msgspec.Meta(gt=0, le=3_650)] = 35.0


class HistoryKey(_Strict, frozen=True):
    """
    `billed`: indexes with a load profile and a closing reading for every day and month. `profile_period_s`,
    `profile_records`: of the load profile; 900 s and 3,360 records are 35 days. `timezone`: where days begin.
    `record`: what else is recorded.
    """

    billed: tuple[str, ...] = BILLED
    profile_period_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 900
    profile_records: Annotated[int, msgspec.Meta(ge=1, le=400_000)] = 3360
    timezone: str = "UTC"
    record: tuple[RecordKey, ...] = ()
