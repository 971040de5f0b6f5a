"""bridge.projections.modbus.requests: PDU in, PDU out. Clauses: Modbus Application Protocol V1.1b3."""

import struct

import pytest

from bridge.core.command import CommandResult, Outcome
from bridge.core.point import Sample
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.modbus.identification import objects_of
from bridge.projections.modbus.image import Image
from bridge.projections.modbus.plan import Identity, Plan
from bridge.projections.modbus.requests import Requests, Write, code_of
from tests.support.modbus_site import projected, site, store_of

FACTS = site(2)
INDEX = {p.id: p.index for p in FACTS.points}
IDENTITY = objects_of(Identity(application="tower"), "1.2.3")


class Server:
    """A plan, its store and its image, without a socket."""

    def __init__(self, facts: SiteFacts = FACTS, /, **keys: object) -> None:
        plan = projected(facts, **keys).plan
        assert isinstance(plan, Plan)
        self.plan, self.store = plan, store_of(facts)
        self.image = Image(plan, self.store)
        self.store.subscribe(self.image.indexes(), self.image.update)
        self.requests = Requests(self.image.units, self.store, IDENTITY)

    def ask(self, hexed: str, unit_id: int = 1) -> str:
        reply = self.requests.reply(unit_id, bytes.fromhex(hexed))
        return f"write {reply.commands}" if isinstance(reply, Write) else reply.hex()

    def publish(self, point: str, value: float, quality: Quality = Quality.GOOD, at_ns: int = 1) -> None:
        self.store.publish([(INDEX[point], Sample(value, quality, at_ns, 9))])

    def at(self, point: str, block: int = 0) -> int:
        items = self.plan.blocks[block].items
        return next(i for i in items if i.index == INDEX[point]).fields[0].address


def read(address: int, count: int, function: int = 3) -> str:
    return struct.pack(">BHH", function, address, count).hex()


# 6.3, 6.4: an energy beyond 2**53 counts, in holding and in input registers
def test_an_energy_is_read_exactly_from_both_register_tables() -> None:
    server = Server()
    count = 2**53 + 1

    assert server.ask(read(0, 4)) == "0308" + f"{count:016x}"
    assert server.ask(read(0, 4, 4)) == "0408" + f"{count:016x}"


def test_unit_255_shows_the_second_meter_behind_the_first() -> None:
    server = Server()

    assert server.ask(read(500, 125), 255) == server.ask(read(0, 125), 2)
    assert server.ask(read(490, 20), 255)[-40:] == server.ask(read(0, 10), 2)[4:]


# 6.1, 6.3, 7: order of the checks
@pytest.mark.parametrize(
    ("request_hex", "reply"),
    [
        (read(0, 0), "8303"),
        (read(0, 126), "8303"),
        (read(0, 0, 4), "8403"),
        (read(499, 2), "8302"),
        (read(65535, 1), "8302"),
        (read(65535, 125), "8302"),
        (read(0, 0, 1), "8103"),
        (read(0, 2001, 1), "8103"),
        (read(0, 2001, 2), "8203"),
        (read(64, 1, 1), "8102"),
        (read(256, 1, 2), "8202"),
        ("03", "8303"),
        ("03000000", "8303"),
        ("030000000100", "8303"),
        ("0100", "8103"),
        # functions that are not there: 7, 8, 11, 12, 17, 20, 21, 24, 100, and one with the exception bit
        ("07", "8701"),
        ("080000a537", "8801"),
        ("0b", "8b01"),
        ("11", "9101"),
        ("14070600040001000a", "9401"),
        ("150906000400010001ffff", "9501"),
        ("180000", "9801"),
        ("6400", "e401"),
        ("83", "8301"),
        ("00", "8001"),
    ],
)
def test_a_request_that_is_wrong_gets_the_exception_of_its_clause(request_hex: str, reply: str) -> None:
    assert Server().ask(request_hex) == reply


@pytest.mark.parametrize("unit_id", [0, 3, 247, 248, 254])
def test_a_unit_id_nobody_has_gets_no_path(unit_id: int) -> None:
    assert Server().ask(read(0, 1), unit_id) == "830a"


# G-10: seed 004, l.3240
def test_a_hole_between_registers_reads_8000() -> None:
    server = Server()
    last = max(f.address + f.registers for i in server.plan.blocks[0].items for f in i.fields)

    assert server.ask(read(last, 2)) == "030480008000"
    assert Server(holes="exception").ask(read(last, 2)) == "8302"
    assert Server(holes="exception").ask(read(0, 10)).startswith("0314")


# M-44, G-10
@pytest.mark.parametrize("quality", [Quality.STALE, Quality.COMM_LOST, Quality.DEVICE_FAULT, Quality.OUT_OF_RANGE])
def test_a_value_that_is_no_present_reading_shows_the_reserved_value_and_why(quality: Quality) -> None:
    server = Server()
    block = server.plan.blocks[0]

    server.publish("m1.active_energy_import", 77, quality)

    assert server.ask(read(0, 10)) == "0314" + "8000000000000000" + "fff8000000000000" + "ffc00000"
    assert server.ask(read(block.items[0].quality, 1)) == f"0302{int(quality):04x}"
    server.publish("m1.active_energy_import", 77)
    assert server.ask(read(0, 4)) == "0308" + f"{77:016x}"


def test_a_questionable_value_is_shown_with_its_flag() -> None:
    server = Server()
    server.publish("m1.active_energy_import", 77, Quality.QUESTIONABLE)

    assert server.ask(read(0, 4)) == "0308" + f"{77:016x}"
    assert server.ask(read(server.plan.blocks[0].items[0].quality, 1)) == "03020200"


def test_a_rule_may_answer_a_bad_value_with_exception_0b() -> None:
    server = Server(rules=[{"match": "*.voltage_l1", "bad": "exception"}])
    at = server.at("m1.voltage_l1")
    server.publish("m1.voltage_l1", 1.0, Quality.COMM_LOST)

    assert server.ask(read(at, 2)) == "830b"
    assert server.ask(read(at - 2, 4)) == "830b"
    assert server.ask(read(at + 2, 2)).startswith("0304")
    server.publish("m1.voltage_l1", 1.0)
    assert server.ask(read(at, 2)) == "03043f800000"


def test_the_time_area_moves_with_every_reading_even_of_an_unchanged_value() -> None:
    server = Server()
    item = server.plan.blocks[0].items[0]

    for at_ns in (5_000_000_000, 6_000_000_000):
        server.publish("m1.active_energy_import", 77, at_ns=at_ns)
        expected = f"0308{at_ns // 10**6:016x}"
        assert server.ask(read(item.time, 4)) == expected
        assert server.ask(read(item.time, 4), 255) == expected
        # a part, and a read that begins before and ends behind it
        assert server.ask(read(item.time + 3, 1)) == "0302" + expected[-4:]
        assert server.ask(read(item.time - 3, 10))[16:32] == expected[4:]


def test_a_point_that_was_never_read_has_no_value_and_no_time() -> None:
    facts = site(1)
    plan = projected(facts).plan
    assert isinstance(plan, Plan)
    store = PointStore(facts.points)
    requests = Requests(Image(plan, store).units, store, IDENTITY)
    item = plan.blocks[0].items[0]

    assert requests.reply(1, bytes.fromhex(read(0, 4))) == bytes.fromhex("03088000000000000000")
    assert requests.reply(1, bytes.fromhex(read(item.quality, 1))) == bytes.fromhex("03020001")
    assert requests.reply(1, bytes.fromhex(read(item.time, 4))) == bytes.fromhex("03088000000000000000")


# 6.1, 6.2
def test_bits_are_packed_from_the_lowest_and_each_state_has_its_validity() -> None:
    server = Server()
    states = [i.state for i in server.plan.blocks[0].items if i.state >= 0]
    assert states == [0, 2, 4]
    server.publish("m1.phase_loss_l1", True)
    server.publish("m1.overload_alarm", False)
    server.publish("m1.reset_demand_peak", True, Quality.COMM_LOST)

    # held state with validity 0: 1 1 | 0 1 | 1 0
    assert server.ask(read(0, 6, 2)) == "0201" + f"{0b011011:02x}"
    assert server.ask(read(1, 9, 2)) == "0202" + "0d00"
    assert server.ask(read(0, 1, 1)) == "010101"


def test_a_bad_bit_is_an_exception_if_a_rule_says_so() -> None:
    server = Server(bad="exception")
    server.publish("m1.phase_loss_l1", True, Quality.STALE)

    assert server.ask(read(0, 1, 2)) == "820b"
    assert server.ask(read(1, 2, 2)).startswith("0201")


# S1, G-10, a-35: out of the box read-only, unmapped 02, mapped 03
@pytest.mark.parametrize(
    ("request_hex", "reply"),
    [
        ("050000ff00", "8503"),
        ("05000a0000", "8502"),
        ("0500001234", "8503"),
        ("0600000001", "8603"),
        ("06ffff0001", "8602"),
        ("0f0000000101ff", "8f03"),
        ("0f0000000801ff", "8f02"),
        ("10000000020400000000", "9003"),
        ("100000000408" + "00" * 8, "9003"),
        ("1000c8000408" + "00" * 8, "9002"),
        ("150906000400010001ffff", "9501"),
        ("16000000f20025", "9603"),
        ("16fff000f20025", "9602"),
        ("17000000040000000408" + "00" * 8, "9703"),
    ],
)
def test_write_matrix_of_a_server_nobody_configured(request_hex: str, reply: str) -> None:
    server = Server()
    before = [server.ask(read(at, 125)) for at in (0, 125, 250, 375)]

    assert server.ask(request_hex) == reply
    assert [server.ask(read(at, 125)) for at in (0, 125, 250, 375)] == before


# 6.5, 6.6, 6.11, 6.12, 6.16, 6.17: structure before address before value
@pytest.mark.parametrize(
    ("request_hex", "reply"),
    [
        ("05", "8503"),
        ("0500000001", "8503"),
        ("06000000", "8603"),
        ("0f00000000", "8f03"),
        ("0f0000000000", "8f03"),
        ("0f000007b1f7" + "00" * 247, "8f03"),
        ("0f0000000901ff", "8f03"),
        ("0f0000000902ff", "8f03"),
        ("1000000000", "9003"),
        ("100000000000", "9003"),
        ("100000007cf8" + "00" * 245, "9003"),
        ("10000000010300", "9003"),
        ("1000000001020000ff", "9003"),
        ("1600000000", "9603"),
        ("1700000000000000010200ff", "9703"),
        ("17000000010000007af4" + "00" * 242, "9703"),
        ("17000000010000000103ffff", "9703"),
    ],
)
def test_a_write_of_wrong_structure_is_refused_with_03(request_hex: str, reply: str) -> None:
    assert Server(access="read-write").ask(request_hex) == reply


def test_a_write_becomes_commands_for_whole_values() -> None:
    server = Server(access="read-write")
    limit, interval = server.at("m1.overload_threshold"), server.at("m1.demand_interval")
    float_95 = struct.pack(">f", 95.5).hex()

    assert server.ask(f"10{limit:04x}000204{float_95}") == f"write [({INDEX['m1.overload_threshold']}, 95.5)]"
    assert server.ask(f"06{interval:04x}000f") == f"write [({INDEX['m1.demand_interval']}, 15)]"
    assert server.ask("050000ff00") == f"write [({INDEX['m1.reset_demand_peak']}, True)]"
    assert server.ask("0f0000000101fe") == f"write [({INDEX['m1.reset_demand_peak']}, False)]"
    assert interval == limit + 2
    assert server.ask(f"10{limit:04x}000306{float_95}0005") == (
        f"write [({INDEX['m1.overload_threshold']}, 95.5), ({INDEX['m1.demand_interval']}, 5)]"
    )


# seed 004, l.3229: "the register is part of a multi-word value"
def test_a_part_of_a_value_cannot_be_written() -> None:
    server = Server(access="read-write")
    limit = server.at("m1.overload_threshold")

    assert server.ask(f"06{limit:04x}42bf") == "8603"
    assert server.ask(f"06{limit + 1:04x}0000") == "8603"
    assert server.ask(f"10{limit + 1:04x}000204" + "00" * 4) == "9003"
    assert server.ask(f"16{limit:04x}00ff0000") == "9603"


def test_a_reserved_value_or_no_number_cannot_be_written() -> None:
    server = Server(access="read-write")
    limit = server.at("m1.overload_threshold")

    for word in ("ffc00000", "7fc00000", "7f800000"):
        assert server.ask(f"10{limit:04x}000204{word}") == "9003"


# 6.16
def test_mask_write_changes_the_bits_the_mask_names() -> None:
    server = Server(access="read-write")
    server.publish("m1.demand_interval", 0x0012)
    at = server.at("m1.demand_interval")

    assert server.ask(f"16{at:04x}00f20025") == f"write [({INDEX['m1.demand_interval']}, {0x17})]"


# 6.17
def test_read_write_registers_reads_after_the_write() -> None:
    server = Server(access="read-write")
    at = server.at("m1.demand_interval")

    write = server.requests.reply(1, bytes.fromhex(f"17{at:04x}0001{at:04x}000102000f"))
    server.publish("m1.demand_interval", 15)

    assert isinstance(write, Write)
    assert write.reply().hex() == "1702000f"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (CommandResult(Outcome.DONE), 0),
        (CommandResult(Outcome.REFUSED_BY_POLICY), 1),
        (CommandResult(Outcome.NOT_WRITABLE), 3),
        (CommandResult(Outcome.OUT_OF_RANGE), 3),
        (CommandResult(Outcome.BUSY), 6),
        (CommandResult(Outcome.TIMED_OUT), 0x0B),
        (CommandResult(Outcome.DEVICE_REFUSED, 2), 2),
        (CommandResult(Outcome.DEVICE_REFUSED), 4),
    ],
)
def test_outcome_of_a_command_as_exception_code(result: CommandResult, code: int) -> None:
    assert code_of(result) == code


def test_every_outcome_has_an_exception_code() -> None:
    assert all(code_of(CommandResult(outcome)) for outcome in Outcome if outcome is not Outcome.DONE)


# G-09; 6.21
@pytest.mark.parametrize(
    ("request_hex", "reply"),
    [
        # basic: vendor, product, version
        ("2b0e0100", "2b0e0182000003" + "000b" + b"meterbridge".hex() + "01024d42" + "0205" + b"1.2.3".hex()),
        # individual: object 6
        ("2b0e0406", "2b0e0482000001" + "0605" + b"tower".hex()),
        # an unknown object in stream access starts at the first again
        ("2b0e01ff", "2b0e0182000003" + "000b" + b"meterbridge".hex() + "01024d42" + "0205" + b"1.2.3".hex()),
        ("2b0e0102", "2b0e0182000001" + "0205" + b"1.2.3".hex()),
        ("2b0e0407", "ab02"),
        ("2b0e0500", "ab03"),
        ("2b0e0000", "ab03"),
        ("2b0e01", "ab03"),
        ("2b0d0100", "ab01"),
        ("2b", "ab01"),
    ],
)
def test_identification(request_hex: str, reply: str) -> None:
    assert Server().ask(request_hex, 255) == reply


def test_extended_identification_is_answered_at_the_regular_level() -> None:
    reply = bytes.fromhex(Server().ask("2b0e0300"))

    assert reply[2:7] == bytes((3, 0x82, 0, 0, 7))
    assert len(reply) <= 253


# G-12: the map of a replaced meter, register by register
def test_a_custom_map_reproduces_the_registers_of_another_meter() -> None:
    entries = [
        {"unit": 12, "address": 50946, "source": "m1.active_energy_import", "format": "uint32", "scale": 0.1},
        {
            "unit": 12,
            "address": 50536,
            "source": "m1.voltage_l1",
            "format": "int32",
            "scale": 0.01,
            "word_order": "CDAB",
        },
        {"unit": 12, "address": 50000, "constant": "SOCO", "registers": 4},
        {"unit": 12, "address": 50004, "constant": 4242},
        {"unit": 12, "address": 7, "source": "m1.phase_loss_l1", "table": "inputs"},
        {"unit": 12, "address": 9, "source": "m1.reset_demand_peak", "table": "coils", "access": "read-write"},
    ]
    server = Server(map={"mode": "custom", "name": "E28", "entries": entries})
    server.publish("m1.active_energy_import", 12_345_678_9)
    server.publish("m1.voltage_l1", 230.12)
    server.publish("m1.phase_loss_l1", True)

    assert server.ask(read(50946, 2), 12) == "0304" + f"{12_345_678:08x}"
    assert server.ask(read(50536, 2), 12) == "030459e40000"
    assert server.ask(read(50000, 5), 12) == "030a" + b"SOCO\0\0\0\0".hex() + f"{4242:04x}"
    assert server.ask(read(7, 1, 2), 12) == "020101"
    assert server.ask("050009ff00", 12) == f"write [({INDEX['m1.reset_demand_peak']}, True)]"
    assert server.ask(read(0, 1), 1) == "830a"
    assert server.ask(read(0, 1), 255) == "8302"


def test_a_disabled_map_has_no_data_and_still_says_who_it_is() -> None:
    server = Server(map={"mode": "disabled"})

    assert server.ask(read(0, 1), 255) == "8302"
    assert server.ask("2b0e0100", 255).startswith("2b0e01")


# G-08 G-13: the frames are those of Schneider's FAQ000241252 and DOCA0172
def test_registers_that_stand_apart_are_read_in_one_request() -> None:
    server = Server()
    first, second = server.at("m1.voltage_l1"), server.at("m1.current_l3")
    wanted = [first, second, 0, first]
    apart = "".join(f"{address:04x}" for address in wanted)

    reply = server.ask(f"640a047f{apart}")

    assert reply == "640a047f" + "".join(server.ask(read(address, 1))[4:] for address in wanted)
    assert len(set(reply[at : at + 4] for at in range(8, 24, 4))) == 3


@pytest.mark.parametrize(
    ("request_hex", "reply"),
    [
        pytest.param("64", "e401", id="no sub-function"),
        pytest.param("64040301" + "0000", "e401", id="another sub-function"),
        pytest.param("640204aa", "e403", id="no address"),
        pytest.param("640304aa00", "e403", id="half an address"),
        pytest.param("640604aa0000", "e403", id="a length that is not that of the request"),
        pytest.param("64cc04aa" + "0000" * 101, "e403", id="101 addresses"),
        pytest.param("640604aa0000ffff", "e402", id="an address outside the table"),
    ],
)
def test_a_scattered_read_that_is_not_as_written_is_refused(request_hex: str, reply: str) -> None:
    assert Server().ask(request_hex) == reply


def test_a_hundred_registers_that_stand_apart_are_answered() -> None:
    server = Server()

    assert len(server.ask("64ca04aa" + "0000" * 100)) == 2 * (4 + 200)


def test_a_scattered_read_meets_what_cannot_be_read_like_any_other() -> None:
    server = Server(holes="exception", bad="exception")
    address = server.at("m1.voltage_l1")

    server.publish("m1.voltage_l1", 1.0, Quality.COMM_LOST)

    assert server.ask(f"640404aa{address:04x}") == "e40b"
    assert server.ask("640404aa00f0") == "e402"
