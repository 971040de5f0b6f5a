"""What `services.alarms` and `services.events` of site.yaml may say."""

from typing import Annotated, Literal

import msgspec

Level = Literal["none", "info", "low", "medium", "high"] | Annotated[int, msgspec.Meta(ge=0, le=255)]
# seconds
Delay = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
AlarmName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]{1,40}$")]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: unknown keys are mistakes."""


class AlarmKey(_Strict, frozen=True):
    """
    One alarm for every point that `match` finds. Exactly one of `over` and `under` (in the point's unit),
    `over_percent` and `under_percent` (of the device's nominal value) and `state` (a code of the point's states).

    `dropout`: the level at which it ends, in the same measure; as the pickup if left out. `priority`: a band or 0-255.
    `together`: one alarm per device, from the first point that is beyond to the last that is back.
    """

    match: tuple[str, ...]
    over: float | None = None
    under: float | None = None
    over_percent: float | None = None
    under_percent: float | None = None
    state: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    dropout: float | None = None
    pickup_delay_s: Delay = 0.0
    dropout_delay_s: Delay = 0.0
    priority: Level = "medium"
    label: str = ""
    together: bool = False


class AlarmsKey(_Strict, frozen=True):
    """
    `preset`: the default alarms of docs/services.md, as far as a site has their points; `enable` and `disable` switch
    alarms of the preset by name. `rules`: alarms of the site, by name.
    """

    preset: bool = True
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    rules: dict[str, AlarmKey] = {}


class EventsKey(_Strict, frozen=True):
    """
    `ring`: events kept. `threshold`: events of this priority or less are neither logged nor sent anywhere. `login`,
    `login_refused`, `lockout`: priorities of access events (seed 004, l.1617); a login that succeeds is in the audit
    only, until it has a higher one.
    """

    login: Level = "none"
    login_refused: Level = 128
    lockout: Level = 255
    ring: Annotated[int, msgspec.Meta(ge=5000, le=1_000_000)] = 5000
    threshold: Annotated[int, msgspec.Meta(ge=0, le=255)] = 5
