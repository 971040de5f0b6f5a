"""
Samples -> attribute values: type check, deadband, then time, quality and value under one lock.

libiec61850 takes a value of the wrong type without an error, so nothing reaches it unchecked. One batch may come from
any single thread; the lock is the library's own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.point import Value as PointValue
from bridge.core.quality import Quality
from bridge.projections.iec61850.health import DeviceHealth, Health
from bridge.projections.iec61850.lib61850 import Functions, Handle, LibraryError, made
from bridge.projections.iec61850.listeners import Listeners, Watched
from bridge.projections.iec61850.native import DynamicModel, Leaf
from bridge.projections.iec61850.quality import Bits, ClockState, bits, clock_of, utc_time
from bridge.projections.iec61850.search import Member, NarrowSet, Search
from bridge.projections.iec61850.tree import STRING_LIMIT, UNSIGNED, Value
from bridge.projections.iec61850.values import converter


@dataclass(slots=True)
class UpdateCounts:
    written: int = 0
    suppressed: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Target:
    """
    `write` tells the report blocks, `place` does not: it writes into `place_of`. `watched`: a BRCB looks for it, see
    `listeners`. `members`: where it is in data sets, see `search`.
    """

    health: DeviceHealth
    convert: Callable[[PointValue], Value | None]
    leaf: Leaf
    deadband: float
    write: Callable[[Handle, Handle, object], None]
    place: Callable[[Handle, object], None]
    place_of: Handle
    quality_of: Handle
    watched: bool
    members: tuple[Member, ...] = ()
    sent: Value | None = None
    quality: int = -1


# Values written under one lock: a client's read waits for it, 5 us a value.
_LOCKED_MOST = 500
# (target, value, quality, stamp)
_Pending = tuple[_Target, Value | None, int, bytes]


class Updates:
    def __init__(
        self,
        library: Functions,
        server: Handle,
        model: DynamicModel,
        points: Mapping[str, PointDef],
        listeners: Listeners,
        watched: Watched,
        deadbands: Mapping[str, float],
        utc_ns: Callable[[], int],
        report: Callable[[BaseException], None],
    ) -> None:
        """
        `points`: by id. `watched`: what the BRCBs look for. `deadbands`: point id -> smallest change to pass on, in its
        unit; absent is any change.
        """
        self._library, self._server, self._listeners = library, server, listeners
        self.counts = UpdateCounts()
        self._targets: dict[int, list[_Target]] = {}
        # the last stamp made: the points of one reply share their time
        self._stamped = (-1, ClockState.FAILED)
        self._stamp = b""
        self._utc_ns, self._starting = utc_ns, False
        # device -> what its values are worth, where that is shown, and what is shown
        self._health: dict[str, DeviceHealth] = {}
        self._health_leaves: dict[str, list[Leaf]] = {}
        self._health_shown: dict[str, Health | None] = {}
        # one for all attributes of a kind and type: 0.3 KB each
        converters: dict[tuple[Kind, str, frozenset[int]], Callable[[PointValue], Value | None]] = {}
        for binding, leaf in model.leaves.items():
            if binding.health_of:
                self._health_leaves.setdefault(binding.health_of, []).append(leaf)
                continue
            definition, measurand = points[binding.point], binding.b_type == "FLOAT32"
            key = definition.kind, binding.b_type, binding.ordinals
            if key not in converters:
                converters[key] = converter(definition.kind, binding)
            target = _Target(
                self._health.setdefault(definition.device, DeviceHealth()),
                converters[key],
                leaf,
                deadbands.get(binding.point, 0.0) if measurand else 0.0,
                self._writer(binding.b_type),
                self._placer(binding.b_type),
                made(library.IedServer_getAttributeValue(server, leaf.value), binding.object),
                made(library.IedServer_getAttributeValue(server, leaf.quality), binding.object),
                binding.object in watched,
            )
            self._targets.setdefault(definition.index, []).append(target)
        self._search = self._short_search(model, report)

    def _short_search(self, model: DynamicModel, report: Callable[[BaseException], None]) -> Search:
        """A library whose memory is not as expected is searched the long way, and `report` hears why."""
        targets = [target for mine in self._targets.values() for target in mine]
        wanted = {value for target in targets for value in (target.place_of, target.quality_of)}
        try:
            sets = [(NarrowSet(one.handle, one.members), one.watched) for one in model.data_sets]
        except LibraryError as exc:
            report(exc)
            sets = []
        search = Search(sets)
        places = search.places(self._library, wanted)
        for target in targets:
            mine = places.get(target.place_of, ())
            # of a quality that is a member by itself, too
            target.members = mine + tuple(m for m in places.get(target.quality_of, ()) if m not in mine)
        return search

    def indexes(self) -> list[int]:
        """Return the points that some attribute shows."""
        return list(self._targets)

    def begin(self, samples: Iterable[tuple[int, Sample]]) -> None:
        """As `apply`, before the server starts: no report block hears of it."""
        self._starting = True
        self.apply(samples)
        self._starting = False

    def apply(self, samples: Iterable[tuple[int, Sample]]) -> None:
        """Write a batch. A sample that does not fit is counted and its object turns invalid, never half written."""
        batch: list[_Pending] = []
        for index, sample in samples:
            for target in self._targets.get(index, ()):
                pending = self._pending(target, sample)
                if pending is not None:
                    batch.append(pending)
        qualified = False
        for at in range(0, len(batch), _LOCKED_MOST):
            qualified = self._write(batch[at : at + _LOCKED_MOST]) or qualified
        if qualified:
            self._show_health()

    def _pending(self, target: _Target, sample: Sample) -> _Pending | None:
        quality = bits(sample.quality)
        try:
            value = target.convert(sample.value)
            stamp = self._stamp_of(sample)
        except ValueError:
            self.counts.refused += 1
            quality, value, stamp = bits(Quality.DEVICE_FAULT), None, utc_time(0, ClockState.FAILED)
        if quality == target.quality and (value is None or not _moved(target, value)):
            self.counts.suppressed += 1
            return None
        return target, value, quality, stamp

    def _stamp_of(self, sample: Sample) -> bytes:
        key = sample.source_ns, clock_of(sample.quality)
        if key != self._stamped:
            self._stamp = utc_time(*key)
            self._stamped = key
        return self._stamp

    def _write(self, batch: list[_Pending]) -> bool:
        """Return whether a quality changed."""
        library, server, starting, changed = self._library, self._server, self._starting, False
        heard, quality_heard = self._listeners.armed, self._listeners.qualified
        stamped = library.IedServer_updateTimestampAttributeValue
        library.IedServer_lockDataModel(server)
        try:
            self._search.narrow(bool(heard or quality_heard))
            for target, value, quality, stamp in batch:
                # Time first: a report copies the whole object when quality or value triggers it.
                stamped(server, target.leaf.time, stamp)
                members = target.members if target.watched or heard or quality_heard else ()
                for member in members:
                    member.show()
                if quality != target.quality:
                    if starting or not (target.watched or quality_heard):
                        library.MmsValue_setBitStringFromInteger(target.quality_of, quality)
                    else:
                        library.IedServer_updateQuality(server, target.leaf.quality, quality)
                    target.health.moved(target.quality, quality)
                    target.quality, changed = quality, True
                if value is not None:
                    if starting or not (target.watched or heard):
                        target.place(target.place_of, value)
                    else:
                        target.write(server, target.leaf.value, value)
                    target.sent = value
                for member in members:
                    member.hide()
        finally:
            self._search.widen()
            library.IedServer_unlockDataModel(server)
        self.counts.written += len(batch)
        return changed

    def _show_health(self) -> None:
        """A device that never gave a value is shown as a warning of invalid quality."""
        library, server = self._library, self._server
        for device, leaves in self._health_leaves.items():
            standing = self._health.get(device)
            health = None if standing is None else standing.health
            if device in self._health_shown and self._health_shown[device] is health:
                continue
            self._health_shown[device] = health
            stamp, quality = utc_time(self._utc_ns()), 0 if health is not None else int(Bits.INVALID)
            library.IedServer_lockDataModel(server)
            try:
                for leaf in leaves:
                    library.IedServer_updateTimestampAttributeValue(server, leaf.time, stamp)
                    library.IedServer_updateQuality(server, leaf.quality, quality)
                    library.IedServer_updateInt32AttributeValue(server, leaf.value, health or Health.WARNING)
            finally:
                library.IedServer_unlockDataModel(server)

    def _writer(self, b_type: str) -> Callable[[Handle, Handle, object], None]:
        library = self._library
        if b_type in UNSIGNED:
            # takes an int only; the caller gives each leaf values of its own type
            return library.IedServer_updateUnsignedAttributeValue  # type: ignore[return-value]
        if b_type in STRING_LIMIT:
            update = library.IedServer_updateVisibleStringAttributeValue
            return lambda server, leaf, value: update(server, leaf, str(value).encode())
        # each takes its own type only, as above
        return {  # type: ignore[return-value]
            "BOOLEAN": library.IedServer_updateBooleanAttributeValue,
            "FLOAT32": library.IedServer_updateFloatAttributeValue,
            "INT64": library.IedServer_updateInt64AttributeValue,
        }.get(b_type, library.IedServer_updateInt32AttributeValue)

    def _placer(self, b_type: str) -> Callable[[Handle, object], None]:
        library = self._library
        if b_type in UNSIGNED:
            # as in `_writer`: each takes its own type only, and gets it
            return library.MmsValue_setUint32  # type: ignore[return-value]
        if b_type in STRING_LIMIT:
            return lambda place, value: library.MmsValue_setVisibleString(place, str(value).encode())
        # the same
        return {  # type: ignore[return-value]
            "BOOLEAN": library.MmsValue_setBoolean,
            "FLOAT32": library.MmsValue_setFloat,
            "INT64": library.MmsValue_setInt64,
        }.get(b_type, library.MmsValue_setInt32)


def _moved(target: _Target, value: Value) -> bool:
    sent = target.sent
    if sent is None or target.deadband <= 0 or isinstance(value, str) or isinstance(sent, str):
        return value != sent
    return abs(value - sent) >= target.deadband
