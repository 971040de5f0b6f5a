"""bridge.field.modbus.writer and encode"""

import asyncio
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.meter import PollClass, RegisterType, Table, WordOrder
from bridge.config.model import FieldPoint, Register, WriteTo
from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.errors import ConnectionLost, FieldError, LineBusy, RequestRefused
from bridge.core.point import Kind, PointDef, Role, Value
from bridge.core.quality import Quality
from bridge.field.line import Use
from bridge.field.modbus.decode import decoder_for
from bridge.field.modbus.encode import OutOfRange, Unwritable, encode, write_pdu
from bridge.field.modbus.words import words_of
from bridge.field.modbus.writer import Writer
from tests.support.meters import SECOND, FakeChannel, LoopClock, Meter, device, point

ORIGIN = Origin("bacnet", "127.0.0.1", "operator")
DONE = CommandResult(Outcome.DONE)
NUMBERS = [kind for kind in RegisterType if words_of(kind)]


def register(kind: RegisterType, **more: Any) -> Register:
    table = more.pop("table", Table.HOLDING)
    return Register(table, 100, more.pop("count", words_of(kind) or 1), kind, **more)


def setting(stored: RegisterType = RegisterType.UINT16, **more: Any) -> FieldPoint:
    """A setting read where it is written; WriteTo fields by keyword, the rest goes to register and definition."""
    names = ("functions", "low", "high", "values", "broadcast")
    to = {key: more.pop(key) for key in names if key in more}
    built = point(0, 100, stored, PollClass.ON_CHANGE, role=more.pop("role", Role.SETTING), **more)
    assert built.read is not None
    write = WriteTo(built.read, to.pop("functions", (6, 16)), **to)
    return FieldPoint(built.definition, built.read, built.poll, built.certainty, write)


class Bench:
    def __init__(self, *points: FieldPoint, **limits: Any) -> None:
        self.meter, self.refreshed = Meter(), list[object]()
        self.channel = FakeChannel({1: self.meter})
        self.writer = Writer(device(points, **limits), self.channel, LoopClock(), self.refresh)

    async def refresh(self, indexes: Iterable[int] | None = None) -> bool:
        self.refreshed.append(indexes)
        return True

    async def write(self, value: Value, within_s: float = 5.0) -> CommandResult:
        deadline = round((asyncio.get_running_loop().time() + within_s) * SECOND)
        return await self.writer.write(Command(0, value, ORIGIN, deadline))


@given(st.sampled_from(NUMBERS), st.sampled_from(WordOrder), st.data())
def test_what_is_written_reads_back_as_the_same_value(
    kind: RegisterType, order: WordOrder, data: st.DataObject
) -> None:
    if kind is RegisterType.DATETIME4:
        return
    definition = PointDef(0, "m.x", Kind.ANALOG)
    scale = data.draw(st.sampled_from([Fraction(1), Fraction(1, 10), Fraction(1, 1000), Fraction(5), Fraction(3, 7)]))
    inverted = data.draw(st.booleans())
    there = register(kind, order=order, scale=scale, inverted=inverted)
    raw = data.draw(st.integers(-30_000, 30_000))
    value = float(raw * scale)
    try:
        wire = encode(WriteTo(there, (16,)), definition, value)
    except OutOfRange:
        negative = raw * (-1 if inverted else 1) < 0
        assert negative
        return

    shown, quality = decoder_for(there, definition)(wire)

    assert quality == Quality.GOOD
    assert shown == pytest.approx(value, rel=1e-6)


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from(WordOrder))
def test_codes_are_written_exactly(code: int, order: WordOrder) -> None:
    there = register(RegisterType.INT64, order=order)
    definition = PointDef(0, "m.x", Kind.MULTISTATE)

    wire = encode(WriteTo(there, (16,)), definition, code)

    assert decoder_for(there, definition)(wire) == (code, Quality.GOOD)


@pytest.mark.parametrize(
    ("point_", "value"),
    [
        (setting(low=1, high=247), 0),
        (setting(low=1, high=247), 248),
        (setting(values=(1200.0, 9600.0)), 4800),
        (setting(), 70_000),
        (setting(), -1),
        (setting(), 0xFFFF),
        (setting(RegisterType.FLOAT32), 1e39),
        (setting(RegisterType.FLOAT32), float("nan")),
        (setting(scale=Fraction(1, 10)), 23.14),
        (setting(), "5"),
        (setting(), True),
        (setting(), None),
        (setting(kind=Kind.MULTISTATE, states=((0, "a"), (1, "b"))), 2),
        (setting(RegisterType.STRING, count=2, kind=Kind.TEXT), "ABCDE"),
        (setting(RegisterType.STRING, count=2, kind=Kind.TEXT), "A\n"),
    ],
    ids=repr,
)
async def test_what_is_out_of_range_never_reaches_the_line(point_: FieldPoint, value: Value) -> None:
    bench = Bench(point_)

    assert await bench.write(value) == CommandResult(Outcome.OUT_OF_RANGE)
    assert bench.channel.asked == []


def test_a_client_with_single_floats_may_write_steps() -> None:
    single = struct.unpack(">f", struct.pack(">f", 23.1))[0]

    wire = encode(WriteTo(register(RegisterType.UINT16, scale=Fraction(1, 10)), (6,)), setting().definition, single)

    assert wire == (231).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("there", "functions", "broadcast", "data", "pdu"),
    [
        (register(RegisterType.UINT16), (6, 16), False, "0007", "06 0064 0007"),
        (register(RegisterType.UINT16), (16,), False, "0007", "10 0064 0001 02 0007"),
        (register(RegisterType.UINT16), (6, 16), True, "0007", "10 0064 0001 02 0007"),
        (register(RegisterType.UINT32), (6, 16), False, "00010002", "10 0064 0002 04 00010002"),
        (register(RegisterType.BOOL, table=Table.COIL), (5,), False, "01", "05 0064 ff00"),
        (register(RegisterType.BOOL, table=Table.COIL), (5, 15), False, "00", "05 0064 0000"),
        (register(RegisterType.BOOL, table=Table.COIL), (15,), False, "01", "0f 0064 0001 01 01"),
    ],
)
def test_requests_as_the_specification_has_them(
    there: Register, functions: tuple[int, ...], broadcast: bool, data: str, pdu: str
) -> None:
    write = WriteTo(there, functions, broadcast=broadcast)

    assert write_pdu(write, bytes.fromhex(data)) == bytes.fromhex(pdu)


@pytest.mark.parametrize(
    "there",
    [
        register(RegisterType.UINT32),
        register(RegisterType.UINT16, table=Table.INPUT),
        register(RegisterType.BOOL, bit=3),
    ],
    ids=["two registers without function 16", "input", "bit of a register"],
)
def test_what_cannot_be_written_whole_is_not_written(there: Register) -> None:
    with pytest.raises(Unwritable):
        write_pdu(WriteTo(there, (6,)), bytes(2 * there.count))


async def test_a_write_is_done_when_the_read_back_shows_it_and_settings_are_read_again() -> None:
    bench = Bench(setting(RegisterType.UINT32, order=WordOrder.CDAB))

    assert await bench.write(0x00010002) == DONE
    assert (bench.meter.registers[100], bench.meter.registers[101]) == (2, 1)
    assert bench.refreshed == [None, [0]]


async def test_commands_go_before_polls_on_the_line() -> None:
    bench = Bench(setting())
    uses: list[Use] = []
    ask = bench.channel.ask

    async def spy(use: Use, user: str, *rest: Any) -> bytes:
        uses.append(use)
        return await ask(use, user, *rest)

    bench.channel.ask = spy  # type: ignore[method-assign,assignment]
    await bench.write(3)

    assert set(uses) == {Use.COMMAND}


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6])
async def test_a_devices_exception_is_its_refusal(code: int) -> None:
    bench = Bench(setting())
    bench.meter.exception = code

    assert await bench.write(3) == CommandResult(Outcome.DEVICE_REFUSED, code)
    assert bench.refreshed == []


async def test_a_write_without_an_answer_is_timed_out_and_asked_once() -> None:
    # F-10
    bench = Bench(setting())
    bench.meter.deaf_to_writes = True

    assert await bench.write(0) == CommandResult(Outcome.TIMED_OUT)
    assert len(bench.channel.asked) == 1


async def test_a_device_that_confirms_but_does_not_do_it_has_refused() -> None:
    bench = Bench(setting())
    bench.meter.ignores_writes = True

    assert await bench.write(3) == CommandResult(Outcome.DEVICE_REFUSED)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (ConnectionLost, Outcome.TIMED_OUT),
        (LineBusy, Outcome.BUSY),
        (RequestRefused, Outcome.NOT_WRITABLE),
    ],
)
async def test_what_a_failure_of_the_line_means_for_the_client(failure: type[FieldError], outcome: Outcome) -> None:
    bench = Bench(setting())
    bench.channel.lost = failure

    assert await bench.write(3) == CommandResult(outcome)


async def test_a_late_command_is_never_carried_out() -> None:
    bench = Bench(setting())

    assert await bench.write(3, within_s=-0.1) == CommandResult(Outcome.TIMED_OUT)
    assert bench.channel.asked == []


async def test_it_answers_at_the_deadline_at_the_latest() -> None:
    bench = Bench(setting(), timeout_s=15.0)
    bench.meter.dead = True
    result = await bench.write(3, within_s=2.0)

    assert result == CommandResult(Outcome.TIMED_OUT)
    assert asyncio.get_running_loop().time() == pytest.approx(2.0, abs=0.1)


async def test_reading_settings_again_keeps_no_client_waiting_beyond_its_deadline() -> None:
    bench = Bench(setting())

    async def never(indexes: Iterable[int] | None = None) -> bool:
        await asyncio.Event().wait()
        return False

    bench.writer = Writer(device([setting()]), bench.channel, LoopClock(), never)
    result = await bench.write(3, within_s=1.0)

    assert result == DONE
    assert asyncio.get_running_loop().time() == pytest.approx(1.0, abs=0.1)


async def test_a_command_is_done_by_the_devices_word_as_it_leaves_nothing_to_read() -> None:
    coil = register(RegisterType.BOOL, table=Table.COIL)
    reset = PointDef(0, "m.reset_demand_peak", Kind.BINARY, role=Role.COMMAND)
    made = FieldPoint(reset, None, PollClass.ON_CHANGE, setting().certainty, WriteTo(coil, (5,)))
    bench = Bench(made)

    assert await bench.write(True) == DONE
    assert bench.meter.writes == [bytes.fromhex("050064ff00")]


async def test_a_broadcast_is_confirmed_by_reading_the_device() -> None:
    # F-08
    shown = Bench(setting(broadcast=True))
    blind = Bench(setting(broadcast=True, role=Role.COMMAND))

    assert await shown.write(3) == DONE
    assert shown.channel.asked[0][1] == 0
    assert await blind.write(3) == CommandResult(Outcome.TIMED_OUT)


async def test_a_point_without_a_way_to_write_is_not_writable() -> None:
    bench = Bench(point(0, 100))

    assert await bench.write(3) == CommandResult(Outcome.NOT_WRITABLE)
