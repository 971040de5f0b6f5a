"""
Samples -> attribute values: type check, deadband, then time, quality and value under one lock per logical device.

libiec61850 takes a value of the wrong type without an error, so nothing reaches it unchecked. One batch may come from
any single thread; the lock is the library's own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.projections.iec61850.lib61850 import Functions, Handle
from bridge.projections.iec61850.native import DynamicModel, Leaf
from bridge.projections.iec61850.quality import ClockState, bits, clock_of, utc_time
from bridge.projections.iec61850.tree import STRING_LIMIT, UNSIGNED, Binding, Value
from bridge.projections.iec61850.values import attribute_value


@dataclass(slots=True)
class UpdateCounts:
    written: int = 0
    suppressed: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Target:
    binding: Binding
    kind: Kind
    leaf: Leaf
    deadband: float
    write: Callable[[Handle, Handle, object], None]
    sent: Value | None = None
    quality: int = -1


@dataclass(slots=True)
class _Pending:
    target: _Target
    value: Value | None
    quality: int
    stamp: bytes


@dataclass(slots=True)
class Updates:
    """`points`: by id. `deadbands`: point id -> smallest change to pass on, in its unit; absent is any change."""

    library: Functions
    server: Handle
    model: DynamicModel
    points: Mapping[str, PointDef]
    deadbands: Mapping[str, float] = field(default_factory=dict)
    counts: UpdateCounts = field(default_factory=UpdateCounts)
    _targets: dict[int, list[_Target]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for binding, leaf in self.model.leaves.items():
            definition = self.points[binding.point]
            deadband = self.deadbands.get(binding.point, 0.0) if binding.b_type == "FLOAT32" else 0.0
            target = _Target(binding, definition.kind, leaf, deadband, self._writer(binding.b_type))
            self._targets.setdefault(definition.index, []).append(target)

    def indexes(self) -> list[int]:
        """Return the points that some attribute shows."""
        return list(self._targets)

    def apply(self, samples: Iterable[tuple[int, Sample]]) -> None:
        """Write a batch. A sample that does not fit is counted and its object turns invalid, never half written."""
        by_device: dict[str, list[_Pending]] = {}
        for index, sample in samples:
            for target in self._targets.get(index, ()):
                pending = self._pending(target, sample)
                if pending is not None:
                    by_device.setdefault(target.binding.device, []).append(pending)
        for batch in by_device.values():
            self._write(batch)

    def _pending(self, target: _Target, sample: Sample) -> _Pending | None:
        quality = bits(sample.quality)
        try:
            stamp = utc_time(sample.source_ns, clock_of(sample.quality))
            value = attribute_value(sample.value, target.kind, target.binding)
        except ValueError:
            self.counts.refused += 1
            quality, value, stamp = bits(Quality.DEVICE_FAULT), None, utc_time(0, ClockState.FAILED)
        if quality == target.quality and (value is None or not _moved(target, value)):
            self.counts.suppressed += 1
            return None
        return _Pending(target, value, quality, stamp)

    def _write(self, batch: list[_Pending]) -> None:
        library, server = self.library, self.server
        library.IedServer_lockDataModel(server)
        try:
            for item in batch:
                target, leaf = item.target, item.target.leaf
                # Time first: a report copies the whole object when quality or value triggers it.
                library.IedServer_updateTimestampAttributeValue(server, leaf.time, item.stamp)
                if item.quality != target.quality:
                    library.IedServer_updateQuality(server, leaf.quality, item.quality)
                    target.quality = item.quality
                if item.value is not None:
                    target.write(server, leaf.value, item.value)
                    target.sent = item.value
        finally:
            library.IedServer_unlockDataModel(server)
        self.counts.written += len(batch)

    def _writer(self, b_type: str) -> Callable[[Handle, Handle, object], None]:
        library = self.library
        if b_type in UNSIGNED:
            return library.IedServer_updateUnsignedAttributeValue  # type: ignore[return-value]
        if b_type in STRING_LIMIT:
            update = library.IedServer_updateVisibleStringAttributeValue
            return lambda server, leaf, value: update(server, leaf, str(value).encode())
        return {  # type: ignore[return-value]
            "BOOLEAN": library.IedServer_updateBooleanAttributeValue,
            "FLOAT32": library.IedServer_updateFloatAttributeValue,
            "INT64": library.IedServer_updateInt64AttributeValue,
        }.get(b_type, library.IedServer_updateInt32AttributeValue)


def _moved(target: _Target, value: Value) -> bool:
    sent = target.sent
    if sent is None or target.deadband <= 0 or isinstance(value, str) or isinstance(sent, str):
        return value != sent
    return abs(value - sent) >= target.deadband
