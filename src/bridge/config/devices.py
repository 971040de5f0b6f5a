"""A device of the site and its meter -> FieldDevice: its points with ids and indexes, its periods and limits."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from bridge.config.circuits import inverted, with_order, with_ratios
from bridge.config.exact import duration_ns, exact
from bridge.config.faults import Faults, Wrong
from bridge.config.marked import Marked, Path
from bridge.config.meter import MeterFile, NominalFile, PollClass
from bridge.config.model import DeviceLimits, FieldDevice, FieldPoint, Register
from bridge.config.points import Facts, Locked
from bridge.config.resolve import MeterFacts
from bridge.config.site import Channel, Device
from bridge.config.vocabulary import KEPT_BY_BRIDGE, PERIODS_NS, RANGES, exists
from bridge.config.words import near
from bridge.core.point import DeviceDef, Nominal, PointDef
from bridge.core.quantity import Quantity

# Periods after which a point is stale, and time-outs (a request and its two repetitions) on top
STALE_PERIODS = 3
STALE_TIMEOUTS = 3


class Devices:
    """Makes the devices of one site one after the other; point indexes go on from device to device."""

    def __init__(self, marked: Marked, faults: Faults, periods: Mapping[PollClass, int]) -> None:
        self._marked, self._faults, self._periods = marked, faults, periods
        self._next_index = 0

    def make(self, id_: str, device: Device, facts: MeterFacts, channel: Channel | None) -> FieldDevice | None:
        """Return the device, or None when something about it is wrong."""
        path: Path = ("devices", id_)
        file = facts.meter.file
        model, mid = self._model(path, device, facts)
        periods = periods_ns(self._marked, (*path, "poll"), device.poll, self._periods, self._faults)
        limits = _limits(device, facts, channel)
        points = self._points(path, device, facts) if facts.sound else None
        if points is None:
            return None
        nominal = _nominal(device.nominal, file.nominal)
        self._warn(path, device, mid, nominal, points)
        definition = DeviceDef(
            id=id_,
            meter=file.meter,
            vendor=file.vendor,
            model=model,
            channel=device.channel,
            unit_id=device.unit,
            mid=mid,
            wiring=device.wiring or file.wiring,
            nominal=nominal,
            labels={**({"label": device.label} if device.label else {}), **device.labels},
            declared_at=self._marked.place(path),
        )
        used = {point.poll for point in points}
        return FieldDevice(
            definition=definition,
            limits=limits,
            points=tuple(self._point(id_, point, mid, periods, limits) for point in points),
            periods_ns={poll: period for poll, period in periods.items() if poll in used},
            serial=_in_order(facts.serial, device),
            signatures=facts.signatures,
        )

    def _model(self, path: Path, device: Device, facts: MeterFacts) -> tuple[str, bool]:
        """Return the sold name and whether it is a MID meter: what the maker states, a site cannot change (M-21)."""
        file = facts.meter.file
        name = device.model or (next(iter(file.models)) if len(file.models) == 1 else None)
        stated = {model: facts.stated_mid(model) for model in file.models}
        if not file.models:
            return name or file.meter, bool(device.mid)
        if name is not None and name not in file.models:
            hint = near(name, file.models)
            self._faults.at(self._marked, (*path, "model"), f"expected a model of {file.meter}, found `{name}`{hint}")
            return name, False
        if name is None and len(set(stated.values())) > 1:
            choice = ", ".join(file.models)
            self._faults.at(self._marked, path, f"expected `model`, one of {choice} (not all are MID), found none")
            return file.meter, False
        mid = stated[name or next(iter(stated))]
        if mid is not None and device.mid is not None and device.mid is not mid:
            what = "a MID meter" if mid else "no MID meter"
            told, wanted = str(device.mid).lower(), str(mid).lower()
            message = f"expected `{wanted}`, for the {name or file.meter} is {what}, found `{told}`"
            self._faults.at(self._marked, (*path, "mid"), message)
        return name or file.meter, bool(device.mid if mid is None else mid)

    def _points(self, path: Path, device: Device, facts: MeterFacts) -> Sequence[Facts] | None:
        key = (
            device.wiring,
            device.word_order,
            device.invert,
            device.ct_ratio,
            device.pt_ratio,
            device.only,
            device.skip,
        )
        if key not in facts.shared:
            chosen = self._chosen(path, device, facts)
            try:
                facts.shared[key] = tuple(_adapted(chosen, device, facts.meter.file))
            except Wrong as exc:
                self._faults.at(self._marked, (*path, exc.key), exc.message)
                return None
        return facts.shared[key]

    def _chosen(self, path: Path, device: Device, facts: MeterFacts) -> dict[str, Facts]:
        """Return the points that the wiring lets exist; `only` and `skip` are applied after `invert` has its pairs."""
        wiring = device.wiring or facts.meter.file.wiring
        for key, patterns in (("only", device.only), ("skip", device.skip)):
            for i, pattern in enumerate(patterns):
                if not fnmatch.filter(facts.points, pattern):
                    hint = near(pattern, facts.points)
                    message = f"expected a pattern that matches a point of {facts.meter.file.meter}, found `{pattern}`"
                    self._faults.at(self._marked, (*path, key, i), message + (hint if "did you" in hint else ""))
        circuits = {point.meaning.circuit for point in facts.points.values()}
        for i, circuit in enumerate(device.invert):
            if circuit not in circuits:
                known = ", ".join(map(str, sorted(circuits)))
                message = f"expected a measuring circuit of {facts.meter.file.meter} ({known}), found {circuit}"
                self._faults.at(self._marked, (*path, "invert", i), message)
        return {name: point for name, point in facts.points.items() if exists(point.meaning, wiring)}

    def _warn(self, path: Path, device: Device, mid: bool, nominal: Nominal, points: Sequence[Facts]) -> None:
        """Note what works but hides a mistake of commissioning (C-01, C-08)."""
        for key, ratio in (("ct_ratio", device.ct_ratio), ("pt_ratio", device.pt_ratio)):
            if mid and ratio != 1:
                message = f"expected none on a MID meter, whose own index is billed, found {ratio:g}: have it verified"
                self._faults.warn(self._marked, (*path, key), message)
        own = {point.meaning.quantity for point in points if point.read is None}
        if Quantity.OVERLOAD_ALARM in own and not nominal.current_a:
            message = "expected a nominal current for overload_alarm, found none"
            self._faults.warn(self._marked, (*path, "nominal", "current_a"), message)
        if own & {Quantity.PHASE_LOSS, Quantity.VOLTAGE_UNBALANCE_ALARM} and not nominal.voltage_v:
            message = "expected a nominal voltage for phase loss and unbalance, found none"
            self._faults.warn(self._marked, (*path, "nominal", "voltage_v"), message)

    def _point(
        self, id_: str, facts: Facts, mid: bool, periods: Mapping[PollClass, int], limits: DeviceLimits
    ) -> FieldPoint:
        locked = mid and facts.locked is Locked.ON_MID_DEVICE
        write = None if locked else facts.write
        period = periods[facts.poll]
        margin = round(STALE_TIMEOUTS * (limits.timeout_s + limits.request_delay_s) * 1e9)
        kept = facts.read is None and facts.meaning.quantity in KEPT_BY_BRIDGE
        low, high = facts.limits or (RANGES.get(facts.meaning.quantity, (None, None))[:2] if kept else (None, None))
        definition = PointDef(
            index=self._next_index,
            id=f"{id_}.{facts.name}",
            kind=facts.kind,
            unit=facts.unit,
            writable=write is not None or kept,
            # what the bridge computes is as old as what it is computed from
            stale_after_ns=STALE_PERIODS * period + margin if period and facts.read is not None else 0,
            declared_at=facts.declared_at,
            role=facts.role,
            meaning=facts.meaning,
            label=facts.label,
            resolution=facts.resolution,
            modulus=facts.modulus,
            states=facts.states,
            low=low,
            high=high,
            typical=facts.typical,
            deadband=facts.deadband,
            poll_ns=period,
            mid=locked,
            tags=facts.tags,
            brick=facts.brick,
        )
        self._next_index += 1
        return FieldPoint(definition, facts.read, facts.poll, facts.certainty, write, _shut(facts) if locked else ())


def _shut(facts: Facts) -> tuple[Register, ...]:
    """Return the registers behind a locked point: where it is read and where it would be written."""
    written = facts.write.register if facts.write is not None else None
    return tuple(register for register in (facts.read, written) if register is not None)


def _adapted(points: dict[str, Facts], device: Device, file: MeterFile) -> list[Facts]:
    """Raises: Wrong."""
    if device.invert:
        points = inverted(points, frozenset(device.invert), file.pf_sign)
    ct, pt = exact(device.ct_ratio), exact(device.pt_ratio)
    kept = [point for name, point in points.items() if _kept(name, device)]
    if (ct, pt) != (Fraction(1), Fraction(1)):
        kept = [with_ratios(point, ct, pt) for point in kept]
    return [with_order(point, device.word_order) for point in kept]


def _kept(name: str, device: Device) -> bool:
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in device.skip):
        return False
    return not device.only or any(fnmatch.fnmatchcase(name, pattern) for pattern in device.only)


def _in_order(serial: Register | None, device: Device) -> Register | None:
    return replace(serial, order=device.word_order) if serial is not None and device.word_order else serial


def _limits(device: Device, facts: MeterFacts, channel: Channel | None) -> DeviceLimits:
    modbus = facts.meter.file.modbus
    line_timeout_s = channel.timeout_s if channel is not None else None
    return DeviceLimits(
        max_registers=device.max_registers or modbus.max_registers,
        max_gap=modbus.max_gap,
        forbidden=facts.forbidden,
        timeout_s=device.timeout_s or line_timeout_s or modbus.timeout_s,
        request_delay_s=modbus.request_delay_s if device.request_delay_s is None else device.request_delay_s,
        turnaround_s=modbus.turnaround_s,
        pf_sign=facts.meter.file.pf_sign,
    )


def _nominal(own: NominalFile | None, meter: NominalFile) -> Nominal:
    own = own or NominalFile()
    return Nominal(
        own.voltage_v or meter.voltage_v, own.current_a or meter.current_a, own.frequency_hz or meter.frequency_hz
    )


def periods_ns(
    marked: Marked, path: Path, poll: Mapping[PollClass, str], defaults: Mapping[PollClass, int], faults: Faults
) -> dict[PollClass, int]:
    """Return the period of every class: `poll` over `defaults`."""
    periods = dict(defaults or PERIODS_NS)
    for poll_class, text in poll.items():
        try:
            periods[poll_class] = duration_ns(text)
        except Wrong as exc:
            faults.at(marked, (*path, poll_class.value), exc.message)
    return periods
