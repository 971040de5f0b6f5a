"""verify.gateway: which registers are asked for, and what comes of the answers."""

from fractions import Fraction
from pathlib import Path

import pytest

from bridge.config.load import load_site
from bridge.config.model import FieldPoint
from bridge.verify.gateway import GatewayReader, readable

DEMO = Path(__file__).parents[3] / "mappings" / "demo"
UNITS = """\
port,framing,tls,unit_id,device,channel,line_unit_id,timeout_s
1,mbap,,5,heat-pump,plant,5,
1,mbap,,100,main,b,100,
"""


class Answer:
    def __init__(self, registers: list[int]) -> None:
        self.registers = registers

    def isError(self) -> bool:
        return not self.registers


class Meter:
    """pymodbus's client of a meter whose registers hold their own address, but for the `dead` ones."""

    def __init__(self, dead: range = range(0)) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self._dead = dead

    def connect(self) -> bool:
        return True

    def read_holding_registers(self, address: int, count: int, device_id: int) -> Answer:
        self.asked.append((device_id, address, count))
        return Answer([] if address in self._dead else [n & 0xFFFF for n in range(address, address + count)])

    read_coils = read_discrete_inputs = read_input_registers = read_holding_registers


@pytest.fixture(scope="module")
def known() -> dict[str, tuple[int, FieldPoint]]:
    return readable(load_site(DEMO).field, UNITS)


def reader(known: dict[str, tuple[int, FieldPoint]], meter: Meter) -> GatewayReader:
    made = GatewayReader("127.0.0.1", 1, known)
    made._client = meter
    return made


def test_only_points_of_listed_units_with_a_register_and_a_certain_scale_are_compared(
    known: dict[str, tuple[int, FieldPoint]],
) -> None:
    assert {name.partition(".")[0] for name in known} == {"heat-pump", "main"}
    assert "heat-pump.frequency" not in known
    assert "heat-pump.communication_status" not in known


def test_rows_without_a_gap_are_one_question_of_at_most_a_hundred_registers(
    known: dict[str, tuple[int, FieldPoint]],
) -> None:
    meter = Meter()
    points = [point.definition for unit, point in known.values() if unit == 100]
    shown = reader(known, meter).read(points)

    assert shown.keys() == {point.id for point in points}
    assert all(count <= 100 for _, _, count in meter.asked)
    assert len(meter.asked) < len(points) / 2
    # 64 bits, high word first
    words = b"".join(n.to_bytes(2, "big") for n in range(3203, 3207))
    assert shown["main.active_energy_import"].value == Fraction(int.from_bytes(words, "big"), 1000)


def test_what_the_device_refuses_is_shown_as_no_value_and_the_rest_is_read(
    known: dict[str, tuple[int, FieldPoint]],
) -> None:
    points = [point.definition for unit, point in known.values() if unit == 100]
    shown = reader(known, Meter(dead=range(3000, 4000))).read(points)

    assert (shown["main.active_energy_import"].value, shown["main.active_energy_import"].good) == (None, False)
    assert shown["main.model"].value is not None
