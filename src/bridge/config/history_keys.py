"""What `services.history` of site.yaml may say."""

from typing import Annotated

import msgspec

# Energies that are billed
BILLED = (
    "*.active_energy_import",
    "*.active_energy_export",
    "*.reactive_energy_import",
    "*.reactive_energy_export",
    "*.active_energy_import_t[1-9]",
    "*.active_energy_export_t[1-9]",
    "*.reactive_energy_import_t[1-9]",
    "*.reactive_energy_export_t[1-9]",
)
# What is logged with the load profile besides (E-10), as far as a meter has it
LOGGED = (
    "*.active_energy_net",
    "*.reactive_energy_net",
    "*.apparent_energy_sum",
    "*.active_demand",
    "*.active_demand_net",
    "*.reactive_demand",
    "*.reactive_demand_net",
    "*.apparent_demand",
)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: unknown keys are mistakes."""


class RecordKey(_Strict, frozen=True):
    """
    Points whose values are recorded. `every_s`: one value a period; 0 = every change, of more than `deadband` where
    that is a number. `keep_days`: how long. The first key that matches a point decides.

    `then_every_s`: of what was recorded once a period, mean, least and greatest of these longer periods are kept for
    `then_keep_days`; 0 = nothing.
    """

    match: str
    every_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    keep_days: Annotated[float, msgspec.Meta(gt=0, le=3_650)] = 35.0
    then_every_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0
    then_keep_days: Annotated[float, msgspec.Meta(gt=0, le=36_500)] = 1_100.0


class HistoryKey(_Strict, frozen=True):
    """
    `billed`: indexes with a load profile and a closing reading for every day and month. `profile_period_s`,
    `profile_records`: of the load profile; 900 s and 3,360 records are 35 days. `logged`: points whose value at the end
    of each of these periods is recorded besides, and kept as long. `timezone`: where days begin.
    `record`: what else is recorded.
    """

    billed: tuple[str, ...] = BILLED
    profile_period_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 900
    profile_records: Annotated[int, msgspec.Meta(ge=1, le=400_000)] = 3360
    logged: tuple[str, ...] = LOGGED
    timezone: str = "UTC"
    record: tuple[RecordKey, ...] = ()
