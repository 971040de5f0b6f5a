"""EDE, state texts and conformance statement are what the running device says of itself"""

import csv
import dataclasses
import io
import struct

import pytest

from bridge.core.alarm import Watched
from bridge.core.history import Recorded
from bridge.projections.bacnet.conformance import SERVICES, statement
from bridge.projections.bacnet.export import EXPORTS, ede, state_texts
from tests.conformance.bacnet import epics
from tests.support.bacnet_client import Client, confirmed, read, value_of
from tests.support.bacnet_site import DEVICE_ID, asked, plan_of, site

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PLAIN = site(2)
FACTS = dataclasses.replace(
    PLAIN,
    watched={point.index: Watched(200, 253.5, 207.0) for point in PLAIN.points if point.name == "voltage_l1"},
    recorded={point.index: Recorded(900.0, 100) for point in PLAIN.points if point.name.startswith("active_energy")},
)


def rows(text: str) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(text), delimiter=";") if row and not row[0].startswith("#")]


async def text_of(client: Client, kind: int, instance: int, prop: int) -> str:
    octets = value_of(await client.call(confirmed(1, 12, read(kind, instance, prop))))
    return octets[3 if octets[0] & 7 == 5 else 2 :].decode()


async def octets_of(client: Client, kind: int, instance: int, prop: int) -> bytes:
    reply = await client.call(confirmed(1, 12, read(kind, instance, prop)))
    return value_of(reply) if reply[0] >> 4 == 3 else b""


async def number_of(client: Client, kind: int, instance: int, prop: int) -> int | None:
    octets = await octets_of(client, kind, instance, prop)
    return int.from_bytes(octets[1:], "big") if octets else None


async def test_the_ede_lists_exactly_the_objects_of_the_running_device_with_their_names_and_units() -> None:
    async with asked(FACTS) as (it, client):
        listed = [row for row in rows(ede(it.plan, FACTS)) if len(row) == 16]
        octets = value_of(await client.call(confirmed(1, 12, read(8, DEVICE_ID, 76))))
        numbers = [int.from_bytes(octets[k : k + 4], "big") for k in range(1, len(octets), 5)]
        wrong = []
        for row in listed:
            kind, instance = int(row[3]), int(row[4])
            if await text_of(client, kind, instance, 77) != row[2]:
                wrong.append((row[0], "name"))
            units = await number_of(client, kind, instance, 117)
            if (str(units) if units is not None else "") != row[14]:
                wrong.append((row[0], "units"))
            for prop, column in ((45, 11), (59, 12)):
                octets = await octets_of(client, kind, instance, prop)
                limit = f"{struct.unpack('>f', octets[1:])[0]:g}" if octets else ""
                if limit != row[column]:
                    wrong.append((row[0], "limit"))
            maximum = await number_of(client, kind, instance, 65) if kind == 23 else None
            if maximum is not None and str(maximum) != row[8]:
                wrong.append((row[0], "maximum"))

    assert wrong == []
    assert {int(row[3]) for row in listed} >= {20, 23, 29}
    assert [row[11] for row in listed].count("253.5") == 2
    assert sorted((int(row[3]), int(row[4])) for row in listed) == sorted((n >> 22, n & 0x3FFFFF) for n in numbers)


async def test_the_state_texts_are_those_of_the_running_device() -> None:
    async with asked(FACTS) as (it, client):
        texts = {int(row[0]): row[1:] for row in rows(state_texts(it.plan))}
        checked = 0
        for row in rows(ede(it.plan, FACTS)):
            if len(row) == 16 and row[13]:
                kind, instance = int(row[3]), int(row[4])
                props = [46, 4] if kind in (3, 4) else [110]
                said = [value_of(await client.call(confirmed(1, 12, read(kind, instance, p)))) for p in props]
                assert all(text.encode() in b"".join(said) for text in texts[int(row[13])])
                checked += 1

    assert checked == 2 * 5


# B-09
async def test_the_statement_names_the_services_and_types_the_device_claims() -> None:
    async with asked(FACTS) as (it, client):
        services = epics.bits(value_of(await client.call(confirmed(1, 12, read(8, DEVICE_ID, 97)))))
        types = epics.bits(value_of(await client.call(confirmed(1, 12, read(8, DEVICE_ID, 96)))))
        said = statement(it.plan)

    assert services == set(SERVICES)
    assert {int(line.split("|")[2]) for line in said.splitlines() if line.endswith("| no |")} == types


def test_every_export_yields_files_and_the_same_twice() -> None:
    plan = plan_of(FACTS)

    first = {name: list(generate(plan, FACTS)) for name, generate in EXPORTS.items()}

    assert first == {name: list(generate(plan, FACTS)) for name, generate in EXPORTS.items()}
    assert [file for files in first.values() for file, _ in files] == [
        "bacnet-EDE.csv",
        "bacnet-StateTexts.csv",
        "bacnet-PICS.md",
    ]
