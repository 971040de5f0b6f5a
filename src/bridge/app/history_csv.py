"""The history as CSV, read beside a running bridge or without one: what a billing dispute needs."""

import csv
import io
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bridge.app.memory import FOLDER
from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.core.accumulator import decimal_text, difference
from bridge.core.errors import BridgeError
from bridge.core.event import Event
from bridge.core.point import DeviceDef, PointDef
from bridge.core.quality import Quality
from bridge.history.database import Access, Database
from bridge.history.opening import FILE
from bridge.history.rows import IndexRow

Cells = Sequence[str | int | float]


class HistoryUnreadable(BridgeError):
    """There is no history, or none that can be read."""


def history_csv(site: Path) -> Iterator[tuple[str, str]]:
    """Return file name and text of everything there is. Raises: ConfigErrors, HistoryUnreadable."""
    config = load_site(site)
    path = config.state_dir / FOLDER / FILE
    if not path.exists():
        raise HistoryUnreadable(f"expected a history at {path}, found none: has this bridge ever run?")
    try:
        with Database(path, access=Access.READ) as database:
            known = {point.id: point for point in config.points}
            devices = {device.id: device for device in config.devices}
            yield "profile.csv", _text(_PROFILE, _profile(database, known, devices))
            yield "closings.csv", _text(_CLOSINGS, _closings(database, devices))
            yield "values.csv", _text(_VALUES, _values(database, config))
            yield "summaries.csv", _text(_SUMMARIES, _summaries(database, config))
            yield "events.csv", _text(_EVENTS, _events(database))
    except sqlite3.Error as exc:
        raise HistoryUnreadable(f"{path}: {exc}") from exc


_PROFILE = (
    "point",
    "tenant",
    "meter",
    "interval_end",
    "reading",
    "unit",
    "interval",
    "epoch",
    "read_at",
    "quality",
    "registers",
)
_CLOSINGS = (
    "point",
    "tenant",
    "meter",
    "period",
    "reading",
    "unit",
    "epoch",
    "serial_number",
    "read_at",
    "quality",
    "registers",
)
_VALUES = ("point", "time", "value", "unit", "quality")
_SUMMARIES = ("point", "period_end", "mean", "least", "greatest", "values", "unit", "quality")
_EVENTS = ("event", "time", "priority", "kind", "device", "text", "user")


def _profile(database: Database, known: Mapping[str, PointDef], devices: Mapping[str, DeviceDef]) -> Iterator[Cells]:
    for id_ in database.points("profile"):
        point = known.get(id_)
        if point is None:
            # without its definition nobody knows what a count is
            continue
        before: IndexRow | None = None
        for row in database.profile(id_):
            reading = "" if row.count is None else decimal_text(row.count, point.resolution)
            yield (
                id_,
                *_place(id_, devices),
                iso(row.at_ns),
                reading,
                point.unit,
                _interval(before, row, point),
                row.epoch,
                iso(row.source_ns),
                words(row.quality) if row.count is not None else "outage",
                row.registers.hex(" ", 2),
            )
            before = row


def _interval(before: IndexRow | None, row: IndexRow, point: PointDef) -> str:
    """Return what was counted in the interval; nothing after a gap or over two epochs."""
    if before is None or before.count is None or row.count is None or before.epoch != row.epoch:
        return ""
    return decimal_text(difference(before.count, row.count, point.modulus), point.resolution)


def _closings(database: Database, devices: Mapping[str, DeviceDef]) -> Iterator[Cells]:
    for id_ in database.points("proof"):
        for row in database.proofs(id_):
            reading = decimal_text(row.count, row.resolution)
            place = (id_, *_place(id_, devices), row.period, reading, row.unit)
            yield (*place, row.epoch, row.serial, iso(row.source_ns), words(row.quality), row.registers.hex(" ", 2))


def _values(database: Database, config: SiteConfig) -> Iterator[Cells]:
    units = {point.id: point.unit for point in config.points}
    for id_ in database.points("sample"):
        for row in database.samples(id_):
            value = "" if row.value is None else row.value
            yield id_, iso(row.at_ns), value, units.get(id_, ""), words(row.quality)


def _summaries(database: Database, config: SiteConfig) -> Iterator[Cells]:
    units = {point.id: point.unit for point in config.points}
    for id_ in database.points("summary"):
        for row in database.summaries(id_):
            found = (row.mean, row.least, row.greatest, row.count)
            yield id_, iso(row.at_ns), *found, units.get(id_, ""), words(row.quality)


def _events(database: Database) -> Iterator[Cells]:
    decoder = msgspec.msgpack.Decoder(Event)
    for _, body in database.events():
        event = decoder.decode(body)
        yield event.number, iso(event.time_ns), event.priority, event.kind.value, event.device, event.text, event.user


def _text(columns: Cells, rows: Iterable[Cells]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def _harmless(cell: str | int | float) -> str | int | float:
    """Return a cell that no spreadsheet takes for a formula; texts come from meters and networks."""
    numeric = isinstance(cell, str) and cell[:1] == "-" and cell[1:].replace(".", "", 1).isdigit()
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell and not numeric else cell


def _place(id_: str, devices: Mapping[str, DeviceDef]) -> tuple[str, str]:
    """Return the tenant, and what the reading may be used for (E-18, M-33): a bill must not look better than it is."""
    device = devices.get(id_.partition(".")[0])
    if device is None:
        return "", ""
    certified = "MID; read by communication, for information" if device.mid else "not MID; not for billing others"
    return device.labels.get("tenant", ""), certified


def iso(utc_ns: int) -> str:
    """Return a time as ISO 8601 with milliseconds, "" for none."""
    if not utc_ns:
        return ""
    stamp = datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{utc_ns // 1_000_000 % 1000:03}Z"


def words(quality: int) -> str:
    """Return a quality in words."""
    return "+".join((flag.name or "").lower() for flag in Quality(quality)) or "good"
