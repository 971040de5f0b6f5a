"""Frames of `link.wire` as bytes, and bytes as frames."""

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from bridge.core.errors import FrameError
from bridge.core.event import Event
from bridge.core.point import Batch, Sample
from bridge.core.quality import Quality
from bridge.link.wire import TO_CORE_LIMIT, TO_WORKER_LIMIT, EventFrame, Frame, ToCore, ToWorker

_HEADER_BYTES = 4

F = TypeVar("F")
_encoder = msgspec.msgpack.Encoder()


def encode(frame: Frame) -> bytes:
    """Raises: OverflowError for an integer beyond 64 bits."""
    body = _encoder.encode(frame)
    return len(body).to_bytes(_HEADER_BYTES, "big") + body


def encode_samples(make: Callable[[Batch], Frame], samples: Batch) -> bytes:
    """
    As `encode`. A value no frame can carry (an integer beyond 64 bits, half a surrogate pair) goes as no value,
    OUT_OF_RANGE: one meter's nonsense must not keep everybody's samples back.
    """
    try:
        return encode(make(samples))
    except (OverflowError, UnicodeEncodeError):
        return encode(make([(index, _carriable(sample)) for index, sample in samples]))


def encode_event(event: Event) -> bytes:
    """As `encode_samples`; text that is no Unicode arrives with question marks."""
    try:
        return encode(EventFrame(event))
    except (OverflowError, UnicodeEncodeError):
        text, user = (word.encode("utf-8", "replace").decode() for word in (event.text, event.user))
        return encode(EventFrame(replace(event, sample=_carriable(event.sample), text=text, user=user)))


def _carriable(sample: Sample) -> Sample:
    try:
        _encoder.encode(sample)
    except (OverflowError, UnicodeEncodeError):
        return replace(sample, value=None, quality=sample.quality | Quality.OUT_OF_RANGE)
    return sample


class FrameDecoder(Generic[F]):
    """Cut a byte stream into frames. Holds at most one incomplete frame of `limit` bytes."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[F], limit: int) -> None:
        self._decoder = decoder
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[F]:
        """Raises: FrameError; after it the decoder must not be used again."""
        if self._rest:
            data = self._rest + data
        view = memoryview(data)
        frames: list[F] = []
        at, size = 0, len(data)
        while size - at >= _HEADER_BYTES:
            length = int.from_bytes(view[at : at + _HEADER_BYTES], "big")
            if not 0 < length <= self._limit:
                raise FrameError(f"frame of {length} bytes, allowed are 1 to {self._limit}")
            end = at + _HEADER_BYTES + length
            if end > size:
                break
            try:
                frames.append(self._decoder.decode(view[at + _HEADER_BYTES : end]))
            except msgspec.DecodeError as exc:
                raise FrameError(f"frame of {length} bytes: {exc}") from exc
            at = end
        self._rest = data[at:]
        return frames


def worker_decoder() -> FrameDecoder[ToWorker]:
    return FrameDecoder(msgspec.msgpack.Decoder(ToWorker), TO_WORKER_LIMIT)


def core_decoder() -> FrameDecoder[ToCore]:
    return FrameDecoder(msgspec.msgpack.Decoder(ToCore), TO_CORE_LIMIT)
