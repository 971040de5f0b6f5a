"""
Samples as encoded DataValues, kept until the sample is another one; Read and Publish share the bytes.

A slot is two times the index of a point, plus one for what stands beside the point (the Double of a count, the text of
a code).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from bridge.core.point import Batch, PointDef, Sample
from bridge.core.ports import PointReader
from bridge.projections.opcua.binary import I4, NULL_VARIANT, data_value, has_server_time
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.plan import NAMESPACE_INDEX
from bridge.projections.opcua.shape import Encoder, companion_encoder_of, encoder_of
from bridge.projections.opcua.status import BAD_OUT_OF_RANGE, status_of

# A string NodeId of our namespace up to its length.
_OWN = bytes((3, NAMESPACE_INDEX, 0))
_HEAD = len(_OWN) + I4.size


class Watcher(Protocol):
    """A monitored item: hears that its point changed."""

    def mark(self) -> None: ...


class Image:
    """Loop thread only."""

    def __init__(self, points: PointReader, model: Model, soon: Callable[[Callable[[], None]], object]) -> None:
        """`soon`: call a function when the present work is done, once for many watchers."""
        self._get, self._definition, self._model = points.get, points.definition, model
        self._encoders: dict[int, Encoder] = {}
        # by TimestampsToReturn: slot -> the sample and its bytes
        self._encoded: tuple[dict[int, tuple[Sample, bytes]], ...] = ({}, {}, {}, {})
        self._watchers: dict[int, tuple[Watcher, ...]] = {}
        # points that are watched and not yet subscribed to
        self._new: set[int] = set()
        self._subscribe, self._soon = points.subscribe, soon
        self._unsubscribe: Callable[[], None] | None = None
        self._due = False

    def find(self, key: bytes) -> int | None:
        """Return the slot of an encoded NodeId."""
        if key[:3] != _OWN:
            return None
        try:
            return self._model.slot(key[_HEAD:].decode())
        except UnicodeDecodeError:
            return None

    def sample(self, slot: int) -> Sample:
        return self._get(slot >> 1)

    def definition(self, slot: int) -> PointDef:
        return self._definition(slot >> 1)

    def range_of(self, slot: int) -> tuple[float, float] | None:
        """Return EURange of a slot, in its own unit."""
        definition = self.definition(slot)
        limits = self._model.range_of(definition)
        if limits is None or not slot & 1:
            return limits
        step = 10.0**definition.resolution
        return limits[0] * step, limits[1] * step

    def encoded(self, slot: int, timestamps: int) -> bytes:
        """Return the DataValue without its server time."""
        sample, known = self._get(slot >> 1), self._encoded[timestamps]
        have = known.get(slot)
        if have is not None and have[0] is sample:
            return have[1]
        made = self.encode(slot, sample, timestamps)
        known[slot] = (sample, made)
        return made

    def fetch(self, slots: Sequence[int], timestamps: int, server_time: bytes) -> bytes:
        """Return the DataValues one after the other; `server_time` is the encoded time of this answer."""
        known, get, parts = self._encoded[timestamps], self._get, list[bytes]()
        add = parts.append
        for slot in slots:
            sample, have = get(slot >> 1), known.get(slot)
            if have is not None and have[0] is sample:
                add(have[1])
            else:
                made = self.encode(slot, sample, timestamps)
                known[slot] = (sample, made)
                add(made)
        if not has_server_time(timestamps):
            return b"".join(parts)
        # the server time is the last field of a DataValue
        add(b"")
        return server_time.join(parts)

    def watch(self, slot: int, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` of changes; returns what ends it, which may be called twice."""
        index = slot >> 1
        others = self._watchers.get(index, ())
        self._watchers[index] = (*others, watcher)
        if not others:
            self._new.add(index)
            self._resubscribe_soon()

        def end() -> None:
            left = tuple(other for other in self._watchers.get(index, ()) if other is not watcher)
            if left:
                self._watchers[index] = left
            else:
                self._watchers.pop(index, None)
                self._resubscribe_soon()

        return end

    def update(self, batch: Batch) -> None:
        """Take changes of value or quality from the point table."""
        watchers = self._watchers
        for index, _ in batch:
            for watcher in watchers.get(index, ()):
                watcher.mark()

    def close(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _resubscribe_soon(self) -> None:
        if not self._due:
            self._due = True
            self._soon(self._resubscribe)

    def _resubscribe(self) -> None:
        """Hear of what is watched and of nothing else; what changed in between is looked at once more."""
        self._due = False
        before, self._unsubscribe = self._unsubscribe, None
        if self._watchers:
            self._unsubscribe = self._subscribe(list(self._watchers), self.update)
        if before is not None:
            before()
        new, self._new = self._new, set()
        for index in new:
            for watcher in self._watchers.get(index, ()):
                watcher.mark()

    def encode(self, slot: int, sample: Sample, timestamps: int) -> bytes:
        """Return any sample of a slot, of now or of the past, as a DataValue without its server time."""
        if sample.value is None:
            status = status_of(sample.quality, has_value=False)
            return data_value(NULL_VARIANT, status, sample.source_ns, timestamps)
        encoder = self._encoders.get(slot)
        if encoder is None:
            definition = self._definition(slot >> 1)
            encoder = self._encoders[slot] = (companion_encoder_of if slot & 1 else encoder_of)(definition)
        variant = encoder(sample.value)
        if variant is None:
            return data_value(NULL_VARIANT, BAD_OUT_OF_RANGE, sample.source_ns, timestamps)
        return data_value(variant, status_of(sample.quality, has_value=True), sample.source_ns, timestamps)
