"""snmp.yaml -> plan: numbers, columns, access, mistakes."""

import msgspec
import pytest

from bridge.config.ledger import Ledger
from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef
from bridge.core.ports import Grant, SiteFacts, Transport
from bridge.core.quantity import Direction, Phase, Quantity, Statistic, meaning_of
from bridge.projections.snmp.columns import (
    DIRECTIONS,
    PHASES,
    QUANTITIES,
    STATISTICS,
    arc_of,
    description_of,
    labels,
    name_of,
)
from bridge.projections.snmp.mapping import Mapping, project, scale_of
from tests.support.snmp_site import facts, mapping, plan_of, projected, writable_facts


def test_every_point_of_the_site_has_a_row_without_any_rule() -> None:
    plan = plan_of(projected())

    assert [row.index for row in plan.rows] == [point.index for point in facts().points]
    assert len({(row.device, row.number) for row in plan.rows}) == len(plan.rows)
    assert [device.id for device in plan.devices] == [device.id for device in facts().devices]


def test_numbers_stay_when_a_point_and_a_device_go_and_come_back() -> None:
    ledger, site = Ledger(), facts()
    fewer = SiteFacts(site.name, [p for p in site.points if p.device != "tenant-2"][1:], site.devices)

    first = plan_of(project(mapping(), site, ledger))
    project(mapping(), fewer, ledger)
    again = plan_of(project(mapping(), site, ledger))

    assert again == first


def test_pins_and_skips_of_the_user_are_kept() -> None:
    last = facts().points[-1]
    plan = plan_of(
        projected(
            rules=[{"match": "tenant-*", "skip": True}],
            overrides={last.id: {"number": 500}, "tenant-1.serial_number": {"skip": False}},
            devices={"main": 77},
        )
    )

    assert [row.number for row in plan.rows if row.index == last.index] == [500]
    assert next(device.number for device in plan.devices if device.id == "main") == 77
    shown = {row.index for row in plan.rows}
    assert [p.id for p in facts().points if p.device.startswith("tenant") and p.index in shown] == [
        "tenant-1.serial_number"
    ]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"overrides": {"nobody.x": {}}}, ("overrides", "nobody.x")),
        ({"devices": {"nobody": 1}}, ("devices", "nobody")),
        ({"devices": {"main": 7, "landlord": 7}}, ("devices", "main")),
        ({"enterprise_oid": "2.999.1"}, ("enterprise_oid",)),
        ({"communities": {"a": {"community": "x"}, "b": {"community": "x"}}}, ("communities", "b", "community")),
        ({"communities": {"a": {"community": "x", "networks": ["here"]}}}, ("communities", "a", "networks", 0)),
        (
            {
                "users": {
                    "a": {"auth": "sha1", "auth_password": "x" * 8, "privacy": "aes256", "privacy_password": "x" * 8}
                }
            },
            ("users", "a", "auth"),
        ),
        ({"traps": {"receivers": [{"host": "127.0.0.1"}]}}, ("traps", "receivers", 0)),
        ({"traps": {"receivers": [{"host": "127.0.0.1", "community": "x"}]}}, ("traps", "receivers", 0)),
        ({"traps": {"receivers": [{"host": "nms", "community": "reader"}]}}, ("traps", "receivers", 0, "host")),
    ],
)
def test_a_mistake_is_told_with_its_path(more: dict[str, object], path: tuple[str | int, ...]) -> None:
    with pytest.raises(ProjectionError) as caught:
        projected(**more)  # type: ignore[arg-type]

    assert caught.value.path == path


# S-02
def test_nobody_is_answered_unless_the_mapping_names_somebody() -> None:
    plan = plan_of(project(msgspec.convert({}, Mapping), facts(), Ledger()))

    assert plan.readers == ()


# S-01
def test_the_agent_is_at_port_161_unless_told_otherwise_and_notifies_nobody_unless_told_to() -> None:
    bare = project(msgspec.convert({}, Mapping), facts(), Ledger())
    receivers = {"receivers": [{"host": "192.0.2.7", "community": "reader"}]}

    assert [listener.port for listener in bare.listeners] == [161]
    assert bare.transport is Transport.UDP
    assert plan_of(bare).traps.targets == ()
    assert [target.port for target in plan_of(projected(traps=receivers)).traps.targets] == [162]
    assert plan_of(projected(traps={**receivers, "enabled": False})).traps.targets == ()


# BARS S2
def test_nothing_is_writable_unless_mapping_and_meter_say_so_and_a_billing_point_never() -> None:
    site = writable_facts()
    everything = [msgspec.structs.replace(p, writable=True) for p in site.points]
    made = projected(0, SiteFacts("demo", everything, site.devices), access="read-write")

    assert not any(row.writable for row in plan_of(projected(0, site)).rows)
    assert made.needs.grants == Grant.COMMANDS | Grant.ALARMS
    assert projected(0, site).needs.grants is Grant.ALARMS
    mid = {p.index for p in site.points if p.mid}
    assert mid
    assert not any(row.writable for row in plan_of(made).rows if row.index in mid)


# BARS S6
def test_secrets_are_not_in_what_a_log_would_print() -> None:
    canary = "canary-secret-1"
    made = mapping(
        communities={"a": {"community": canary}},
        users={"b": {"auth_password": canary, "privacy_password": canary}},
        traps={"receivers": [{"host": "127.0.0.1", "community": "a"}]},
    )
    plan = plan_of(project(made, facts(), Ledger()))

    assert canary not in repr(made)
    assert canary not in repr(plan)
    assert canary in msgspec.msgpack.encode(plan).decode("latin-1")


def test_every_word_of_the_vocabulary_has_a_number_of_its_own() -> None:
    for numbers, words in (
        (QUANTITIES, set(Quantity) - {Quantity.OTHER}),
        (STATISTICS, set(Statistic)),
        (DIRECTIONS, set(Direction)),
        (PHASES, set(Phase)),
    ):
        assert set(numbers) == words
        assert len(set(numbers.values())) == len(words)


@pytest.mark.parametrize(
    ("point", "arc", "name", "text"),
    [
        ("active_power_total", 10_000_000, "meterActivePower", "Active power. In W."),
        ("ch2_active_power_total", 10_000_000, "meterActivePower", "Active power. In W."),
        ("voltage_l1_n", 60_000_050, "meterVoltageL1N", "Voltage between L1 and neutral. In W."),
        ("active_energy_import_l1_t2", 120_001_012, "meterActiveEnergyL1ImportT2",
         "Active energy of phase L1, delivered to the load, tariff 2. In W."),
        ("current_l2_max", 70_200_020, "meterCurrentL2Max", "Current of phase L2, maximum. In W."),
        ("digital_input_12", 480_000_120, "meterDigitalInput12", "Digital input 12. In W."),
    ],
)  # fmt: skip
def test_a_column_is_numbered_and_named_by_its_quantity_alone(point: str, arc: int, name: str, text: str) -> None:
    meaning = meaning_of(point)

    assert (arc_of(meaning), name_of(meaning), description_of(meaning, "W")) == (arc, name, text)


def test_labels_of_an_enumeration_are_words_or_there_is_none() -> None:
    assert labels(((0, "OK"), (1, "Phase loss"))) == ((0, "ok"), (1, "phaseLoss"))
    assert labels(((9600, "9600"),)) == ()
    assert labels(((0, "off"), (1, "Off"))) == ()


def test_a_scale_never_lets_a_value_within_its_limits_reach_the_end_of_integer32() -> None:

    assert scale_of(PointDef(0, "m.x", Kind.ANALOG, "W")) == -3
    assert scale_of(PointDef(0, "m.x", Kind.ANALOG, "W", low=-1e9, high=1e9)) == 0
    assert scale_of(PointDef(0, "m.x", Kind.ACCUMULATOR, "kWh", resolution=-2)) == -2
