"""The bridge's IEC 61850 server as a substation client finds it: the Rust client, references from the CID."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from lxml import etree

from bridge.core.point import Kind, PointDef
from bridge.core.units import UNITS
from bridge.verify.client import ClientFailed
from bridge.verify.compare import Precision, Shown

_NS = "{http://www.iec.ch/61850/2003/SCL}"
_BOUND = "pt:"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Value attributes of the common data classes (IEC 61850-7-3), the longest first -> functional constraint.
_LEAVES = {"cVal.mag.f": "MX", "mag.f": "MX", "mxVal.f": "MX", "stVal": "ST", "actVal": "ST"}
# Quality, first octet: validity in bits 0 and 1, failure in 6; second: substituted in bit 10 (IEC 61850-8-1).
_VALIDITY, _INVALID, _FAILURE, _SUBSTITUTED = 0xC0, 0x40, 0x02, 0x20
# What the text of a time leaves out.
_TIME_STEP_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """`object`: GW1m1/MMXU1.A.phsB; `leaf` and `fc` of its value."""

    object: str
    leaf: str
    fc: str


def places_of(cid: bytes) -> dict[str, Place]:
    """Return where the CID shows each point, by point id."""
    root = etree.fromstring(cid, etree.XMLParser(resolve_entities=False, no_network=True))
    found: dict[str, Place] = {}
    for ied in root.iter(_NS + "IED"):
        for device in ied.iter(_NS + "LDevice"):
            for node in device:
                name = "".join(node.get(part, "") for part in ("prefix", "lnClass", "inst"))
                for item in node.iter(_NS + "DAI"):
                    address = item.get("sAddr", "")
                    if address.startswith(_BOUND):
                        path = ".".join(_path(item))
                        leaf = next(leaf for leaf in _LEAVES if path.endswith(f".{leaf}"))
                        where = f"{ied.get('name')}{device.get('inst')}/{name}.{path.removesuffix(f'.{leaf}')}"
                        found[address.removeprefix(_BOUND)] = Place(where, leaf, _LEAVES[leaf])
    return found


def only_cid(folder: Path) -> bytes:
    """Return the CID that the server takes from its folder. Raises: ClientFailed."""
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() == ".cid"]
        if len(found) == 1:
            return found[0].read_bytes()
    except OSError as exc:
        raise ClientFailed(f"iec61850: {folder}: {exc.strerror}") from exc
    raise ClientFailed(f"iec61850: expected exactly one .cid file in {folder}, found {len(found)}")


def _path(item: Any) -> list[str]:
    """Names from the DOI down."""
    name = [str(item.get("name"))]
    return name if item.tag == _NS + "DOI" else [*_path(item.getparent()), *name]


class Iec61850Reader:
    """VerifyClient of the IEC 61850 server, without TLS and password. `deadbands`: of points, in their unit."""

    def __init__(self, host: str, port: int, cid: bytes, deadbands: Mapping[str, float]) -> None:
        self._places, self._deadbands = places_of(cid), deadbands
        self._address = f"{host}:{port}"
        self._client: subprocess.Popen[str] | None = None
        # what one count or one unit of the attribute is worth, in the unit of the point
        self._steps: dict[str, Fraction] = {}

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Raises: ClientFailed."""
        known = [(point, self._places[point.id]) for point in points if point.id in self._places]
        self._learn_steps([(point, place) for point, place in known if point.id not in self._steps])
        targets = [(f"{place.object}.{leaf}", place.fc) for _, place in known for leaf in (place.leaf, "q")]
        answers = self._ask(targets)
        return {
            point.id: self._shown(point, value, quality)
            for (point, _), value, quality in zip(known, answers[::2], answers[1::2], strict=True)
        }

    def close(self) -> None:
        if self._client is not None:
            self._client.stdin.close()  # type: ignore[union-attr]
            self._client.wait()
            self._client.stdout.close()  # type: ignore[union-attr]
        self._client = None

    def _learn_steps(self, known: Sequence[tuple[PointDef, Place]]) -> None:
        """Read units.multiplier and pulsQty: a client that goes by other ones computes wrong."""
        numbers = [(p, place) for p, place in known if p.kind in (Kind.ANALOG, Kind.ACCUMULATOR)]
        targets = [(f"{place.object}.{name}", "CF") for _, place in numbers for name in ("units.multiplier", "pulsQty")]
        answers: Iterator[Any] = iter(self._ask(targets))
        for point, _ in numbers:
            multiplier, pulse = next(answers), next(answers)
            unit = UNITS.get(point.unit)
            exponent = (unit.exponent or 0) if unit is not None else 0
            worth = Fraction(pulse) if point.kind is Kind.ACCUMULATOR and pulse is not None else Fraction(1)
            self._steps[point.id] = worth * Fraction(10) ** ((multiplier or 0) - exponent)

    def _shown(self, point: PointDef, value: Any, quality: Any) -> Shown:
        octets = bytes.fromhex(quality) if quality else b""
        good = bool(octets) and not octets[0] & _VALIDITY and not octets[1] & _SUBSTITUTED
        # invalid for no stated reason: there has never been a value
        if value is None or (octets and octets[0] & (_VALIDITY | _FAILURE) == _INVALID):
            return Shown(None, Precision.EXACT, good)
        match point.kind:
            case Kind.TEXT:
                return Shown(str(value), Precision.VISIBLE, good)
            case Kind.TIME:
                return (
                    Shown(Fraction(_ns(value)), Precision.EXACT, good, within=_TIME_STEP_NS) if value else _none(good)
                )
            case Kind.ACCUMULATOR:
                return Shown(int(value) * self._steps[point.id], Precision.EXACT, good)
            case Kind.ANALOG:
                step = self._steps[point.id]
                number = float(value) if step == 1 else float(value) * float(step)
                if not math.isfinite(number):
                    return _none(good)
                return Shown(number, Precision.FLOAT32, good, within=self._deadbands.get(point.id, 0.0))
            case Kind.BINARY | Kind.MULTISTATE:
                return Shown(Fraction(int(value)), Precision.EXACT, good)

    def _ask(self, targets: Sequence[tuple[str, str]]) -> list[Any]:
        """Raises: ClientFailed."""
        if not targets:
            return []
        if self._client is None:
            words = [sys.executable, "-m", "bridge.verify.iec61850_client", self._address]
            self._client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        try:
            self._client.stdin.write(json.dumps(targets) + "\n")
            self._client.stdin.flush()
        except BrokenPipeError:
            # its last line says why
            pass
        line = self._client.stdout.readline()
        answer = json.loads(line) if line else {"error": "the client ended"}
        if isinstance(answer, dict):
            raise ClientFailed(f"iec61850: {answer['error']}")
        return list(answer)


def _none(good: bool) -> Shown:
    return Shown(None, Precision.EXACT, good)


def _ns(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000
