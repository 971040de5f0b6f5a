"""`services.alarms` of site.yaml, checked against the points of the site."""

import fnmatch
import re
from collections.abc import Collection, Mapping, Sequence

from bridge.config.alarm_keys import AlarmKey
from bridge.config.alarm_preset import COMMUNICATION_LOSS, IDENTITY_CHANGED, PRESET
from bridge.config.faults import Faults, Wrong
from bridge.config.marked import Marked
from bridge.config.model import FieldDevice
from bridge.config.services import ServicesFile
from bridge.config.words import near
from bridge.core.point import Kind, PointDef

_NAME = re.compile(r"[A-Za-z0-9_]{1,40}\Z")
_LEVELS = ("over", "under", "over_percent", "under_percent", "state")
_WITH_STATES = frozenset({Kind.BINARY, Kind.MULTISTATE})


def check_alarms(services: ServicesFile, field: Sequence[FieldDevice], marked: Marked, faults: Faults) -> None:
    """Note every mistake."""
    points = {point.definition.id: point.definition for device in field for point in device.points}
    alarms = services.alarms
    names = [*PRESET, COMMUNICATION_LOSS, IDENTITY_CHANGED]
    for word in ("enable", "disable"):
        for i, name in enumerate(getattr(alarms, word)):
            if name not in names:
                message = f"expected an alarm of the preset, found `{name[:40]}`{near(name, names)}"
                faults.at(marked, ("services", "alarms", word, i), message)
    for name, alarm in alarms.rules.items():
        path = ("services", "alarms", "rules", name)
        if _NAME.match(name) is None:
            #
            faults.at(marked, path, f"expected letters, digits and _, at most 40, found `{name[:60]}`")
        try:
            _check(alarm, points)
        except Wrong as exc:
            faults.at(marked, (*path, exc.key) if exc.key else path, exc.message)


def _check(alarm: AlarmKey, points: Mapping[str, PointDef]) -> None:
    given = [word for word in _LEVELS if getattr(alarm, word) is not None]
    if len(given) != 1:
        raise Wrong("", f"expected one of {', '.join(_LEVELS)}, found {' and '.join(given) or 'none'}")
    (word,) = given
    level, dropout = getattr(alarm, word), alarm.dropout
    if dropout is not None and word == "state":
        raise Wrong("dropout", "expected none with `state`, which ends when the point is in another")
    if dropout is not None and (dropout > level if word.startswith("over") else dropout < level):
        side = "above" if word.startswith("over") else "below"
        raise Wrong("dropout", f"expected a level not {side} {level:g}, at which it begins, found {dropout:g}")
    for pattern in alarm.match:
        found = fnmatch.filter(points, pattern)
        if not found:
            raise Wrong("match", f"expected a pattern that matches a point, found `{pattern}`{_hint(pattern, points)}")
        if (word == "state") is not (points[found[0]].kind in _WITH_STATES):
            kind = points[found[0]].kind.value
            raise Wrong("match", f"expected points that `{word}` can be said of, found {found[0]} of kind {kind}")


def _hint(pattern: str, points: Collection[str]) -> str:
    hint = near(pattern, list(points))
    return hint if "did you" in hint else ""
