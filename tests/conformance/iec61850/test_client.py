"""Discovery, reads, reports and limits, seen by the independent client `iec61850` (Rust) through the real worker."""

import asyncio
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import iec61850
import pytest

from bridge.core.point import Kind, PointDef
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.iec61850 import scl
from bridge.projections.iec61850.cid import MODEL, VENDOR, cid
from bridge.projections.iec61850.server import own_version
from tests.conformance.iec61850.hosted import client, hosted
from tests.support.certificates import Authority
from tests.support.mms_client import FC, Reports, connect, member, reasons
from tests.support.mms_raw import raw
from tests.support.mms_site import LAST_COUNT, by_id, plan_of, site, spec_of, value_of
from tests.support.workers import running, spare_ports, until

pytestmark = pytest.mark.real_time
ALL, URCB, BRCB = "GW1m1/LLN0.dsAll", "GW1m1/LLN0.RP.urcbAll01", "GW1m1/LLN0.BR.brcbEvent01"
# places in dsAll and dsEvent of a meter
TOT_W, SUP_WH = 3, 0


def shown(definition: PointDef) -> Any:
    """What the client must read for a value of the store: the exact one, or the nearest float32."""
    value = value_of(definition)
    return struct.unpack("f", struct.pack("f", value))[0] if definition.kind is Kind.ANALOG else value


async def test_a_client_reads_every_point_with_its_quality_and_time_exactly() -> None:
    async with hosted(5) as host, client(host.port) as c:
        points = by_id(host.facts)
        model = scl.load(cid(plan_of(host.facts), "1"))
        wrong = []
        for binding in model.bindings:
            if binding.health_of:
                continue
            definition, fc = points[binding.point], FC.MX if binding.b_type == "FLOAT32" else FC.ST
            name = f"GW1{binding.object}"
            value = await c.read(f"{name}.{binding.leaf}", fc)
            stamp = await c.read_timestamp(f"{name}.t", fc)
            quality = await c.read_quality(f"{name}.q", fc)
            sample = host.store.get(definition.index)
            expected = "2023-" if definition.kind is Kind.TIME else shown(definition)
            same = str(value).startswith("2023-") if definition.kind is Kind.TIME else value == expected
            if not same or abs(stamp.timestamp() - sample.source_ns / 1e9) > 0.001 or "GOOD" not in str(quality):
                wrong.append((binding.point, value, expected, stamp, quality))

    assert wrong == []
    assert {binding.point for binding in model.bindings} - {""} == points.keys()


async def test_a_client_discovers_devices_nodes_and_names() -> None:
    async with hosted(2) as host, client(host.port) as c:
        devices = await c.get_server_directory()
        nodes = await c.get_logical_device_directory("GW1m1")
        members = await c.get_data_set_directory(ALL)
        vendor = await c.read_string("GW1m2/LPHD1.PhyNam.vendor", FC.DC)
        unit = await c.read("GW1m1/MMTR1.SupWh.units.SIUnit", FC.CF)
        text = await c.read_string("GW1m1/GGIO1.Ind1.d", FC.DC)

    assert set(devices) == {"GW1m1", "GW1m2"}
    assert {"LLN0", "LPHD1", "MMXU1", "MMTR1", "MHAI1", "GGIO1"} <= set(nodes)
    assert "TotW" in str(members)
    assert (vendor, unit, text) == ("Toy", 72, "communication status")


async def test_a_client_may_ask_who_the_server_is() -> None:
    async with hosted(1) as host:
        named = await asyncio.to_thread(raw, "identify", str(host.port), VENDOR, MODEL, own_version())
        other = await asyncio.to_thread(raw, "identify", str(host.port), "other", MODEL, own_version())

    assert named == 0
    assert other == 1


async def test_energy_is_exact_up_to_the_end_of_the_display() -> None:
    async with hosted(1) as host, client(host.port) as c:
        host.put("m1.active_energy_import", LAST_COUNT)
        await asyncio.sleep(0.2)
        count = await c.read_int64("GW1m1/MMTR1.SupWh.actVal", FC.ST)
        pulse = await c.read_float("GW1m1/MMTR1.SupWh.pulsQty", FC.CF)
        multiplier = await c.read("GW1m1/MMTR1.SupWh.units.multiplier", FC.CF)

    # 999,999.99 kWh
    assert (count, pulse, multiplier) == (LAST_COUNT, 10.0, 0)
    assert count * int(pulse) == 999_999_990


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (Quality.COMM_LOST | Quality.STALE, ("questionable", "old_data=True")),
        (Quality.DEVICE_FAULT, ("invalid", "failure=True")),
        (Quality.OUT_OF_RANGE, ("questionable", "out_of_range=True")),
        (Quality.SUBSTITUTED, ("good", "source_substituted=True")),
    ],
)
async def test_a_bad_sample_keeps_value_and_time_and_shows_why(flags: Quality, expected: tuple[str, str]) -> None:
    async with hosted(1) as host, client(host.port) as c:
        old = host.store.get(by_id(host.facts)["m1.active_power_total"].index)
        host.put("m1.active_power_total", old.value, flags, old.source_ns)
        await asyncio.sleep(0.2)
        name = "GW1m1/MMXU1.TotW"
        value = await c.read_float(f"{name}.mag.f", FC.MX)
        quality = str(await c.read_quality(f"{name}.q", FC.MX))
        stamp = await c.read_timestamp(f"{name}.t", FC.MX)

    assert value == old.value
    assert abs(stamp.timestamp() - old.source_ns / 1e9) < 0.001
    assert all(word in quality for word in expected), quality


async def test_a_point_that_was_never_read_is_invalid_from_the_first_moment() -> None:
    facts, port = site(1), spare_ports(1)
    async with running(PointStore(facts.points, facts.devices), [spec_of(facts, port)]), client(port) as c:
        energy = str(await c.read_quality("GW1m1/MMTR1.SupWh.q", FC.ST))
        power = str(await c.read_quality("GW1m1/MMXU1.TotW.q", FC.MX))

    assert "INVALID" in energy
    assert "INVALID" in power


async def test_the_health_of_a_meter_follows_its_values() -> None:
    async with hosted(2) as host, client(host.port) as c:

        async def health() -> tuple[Any, str]:
            await asyncio.sleep(0.2)
            quality = str(await c.read_quality("GW1m1/LPHD1.PhyHealth.q", FC.ST))
            return await c.read("GW1m1/LPHD1.PhyHealth.stVal", FC.ST), "good" if "GOOD" in quality else quality

        found = [await health()]
        host.put("m1.frequency", 50.0, Quality.STALE)
        found.append(await health())
        mine = [d for d in host.facts.points if d.device == "m1"]
        for definition in mine:
            sample = host.store.get(definition.index)
            host.put(definition.id, sample.value, Quality.COMM_LOST, sample.source_ns)
        found.append(await health())
        for definition in mine:
            host.put(definition.id, host.store.get(definition.index).value)
        found.append(await health())
        other = await c.read("GW1m2/LLN0.Health.stVal", FC.ST)

    assert found == [(1, "good"), (2, "good"), (3, "good"), (1, "good")]
    assert other == 1


async def test_an_unbuffered_block_reports_changes_of_value_and_quality_integrity_and_interrogation() -> None:
    async with hosted(1, reports={"layout": "events-per-device"}) as host, client(host.port) as c:
        host.put("m1.active_power_total", 1.0)
        await asyncio.sleep(0.2)
        reports = Reports(c, URCB)
        await reports.subscribe()
        await reports.pump(0.2)
        host.put("m1.active_power_total", 2.0)
        changed = await reports.pump(0.4)
        host.put("m1.active_power_total", 2.0)
        same = await reports.pump(0.3)
        host.put("m1.active_power_total", 2.0, Quality.STALE)
        quality = await reports.pump(0.4)
        await c.trigger_gi(URCB)
        asked = await reports.pump(0.4)
        await reports.disable()
        await reports.subscribe(integrity_ms=200)
        await reports.pump(0.1)
        periodic = await reports.pump(1.1)
        await reports.disable()

    assert len(changed) == 1
    assert "data_change" in reasons(changed[0])
    assert 2.0 in flat(changed[0])
    assert same == []
    assert len(quality) == 1
    assert "quality_change" in reasons(quality[0])
    assert "general_interrogation" in reasons(asked[-1])
    assert 4 <= len(periodic) <= 6
    assert "integrity" in reasons(periodic[-1])


async def test_a_buffered_block_reports_changes_of_value_and_quality_integrity_and_interrogation() -> None:
    async with hosted(1) as host, client(host.port) as c:
        name = "m1.active_energy_import"
        reports = Reports(c, BRCB)
        await reports.subscribe()
        await reports.pump(0.2)
        host.put(name, 100)
        (changed,) = await reports.pump(0.4)
        host.put(name, 100, Quality.STALE)
        (quality,) = await reports.pump(0.4)
        await c.trigger_gi(BRCB)
        (asked,) = await reports.pump(0.4)
        await reports.disable()
        await reports.subscribe(integrity_ms=200, data_change=True)
        await reports.pump(0.1)
        periodic = await reports.pump(1.1)
        await reports.disable()

    assert reasons(changed) == {"data_change"}
    assert "quality_change" in reasons(quality)
    assert "general_interrogation" in reasons(asked)
    assert 4 <= len(periodic) <= 6
    assert "integrity" in reasons(periodic[-1])
    assert member(periodic[-1], SUP_WH)[0] == 100


async def test_the_default_unbuffered_block_reports_quality_and_period_and_no_change_of_value() -> None:
    async with hosted(1) as host, client(host.port) as c:
        reports = Reports(c, URCB)
        await reports.subscribe()
        await reports.pump(0.2)
        host.put("m1.active_power_total", 2.0)
        changed = await reports.pump(0.4)
        host.put("m1.active_power_total", 2.0, Quality.STALE)
        quality = await reports.pump(0.4)
        await reports.disable()

    assert changed == []
    assert "quality_change" in reasons(quality[0])


async def test_a_client_that_arms_changes_of_value_gets_them_and_only_while_it_wants_them() -> None:
    async with hosted(1) as host, client(host.port) as c:
        reports = Reports(c, URCB)
        await reports.subscribe(data_change=True)
        await reports.pump(0.2)
        host.put("m1.active_power_total", 2.0)
        armed = await reports.pump(0.4)
        await reports.disable()
        await reports.subscribe(data_change=False)
        await reports.pump(0.2)
        host.put("m1.active_power_total", 3.0)
        quiet = await reports.pump(0.4)
        await reports.disable()
        value = await c.read_float("GW1m1/MMXU1.TotW.mag.f", FC.MX)

    assert [reasons(report) for report in armed] == [{"data_change"}]
    assert 2.0 in flat(armed[0])
    assert quiet == []
    assert value == 3.0


async def test_a_client_that_is_cut_off_leaves_nothing_armed() -> None:
    async with hosted(1) as host:
        c = await connect(host.port)
        await Reports(c, URCB).subscribe(data_change=True)
        await until(lambda: host.counters.get("blocks_armed") == 1)
        await c.abort()

        await until(lambda: host.counters.get("blocks_armed") == 0)


async def test_which_data_set_a_block_reports_is_not_for_a_client_to_say() -> None:
    async with hosted(1) as host, client(host.port) as c:
        handle = await c.get_rcb_values(BRCB)
        handle.dataset = "GW1m1/LLN0$dsAll"
        with pytest.raises(Exception, match=r"."):
            await c.set_rcb_values(handle, iec61850.RcbWriteMask.fields("dataset"))
        again = await c.get_rcb_values(BRCB)

    assert "dsEvent" in str(again.dataset)


@pytest.mark.parametrize(("layout", "block"), [("full-per-device", "brcbAll01"), ("events-wide", "brcbEvent01")])
async def test_a_change_is_found_in_every_layout_and_an_interrogation_after_it_is_whole(
    layout: str, block: str
) -> None:
    async with hosted(2, reports={"layout": layout}) as host, client(host.port) as c:
        name = f"GW1m1/LLN0.BR.{block}"
        reports = Reports(c, name)
        await reports.subscribe()
        await reports.pump(0.2)
        host.put("m1.active_energy_import", 78)
        changed = await reports.pump(0.4)
        await c.trigger_gi(name)
        (asked,) = await reports.pump(0.4)
        await reports.disable()
        values = await c.get_data_set_values(f"GW1m1/LLN0.ds{block[4:-2]}")

    assert [reasons(report) for report in changed] == [{"data_change"}]
    assert sum(78 in leaves(entry.value) for entry in asked.entries) == 1
    assert [leaves(entry.value) for entry in asked.entries] == [leaves(value) for value in values]


async def test_a_report_carries_the_time_of_its_value() -> None:
    async with hosted(1) as host, client(host.port) as c:
        reports = Reports(c, BRCB)
        await reports.subscribe()
        await reports.pump(0.2)
        host.put("m1.active_energy_import", 77, source_ns=1_600_000_000_000_000_000)
        got = await reports.pump(0.4)
        await reports.disable()

    assert "77" in str(member(got[-1], SUP_WH))
    assert any(
        bytes(part)[:4] == (1_600_000_000).to_bytes(4, "big") for part in member(got[-1], SUP_WH) if is_time(part)
    )


async def test_a_buffered_block_replays_after_a_cut_without_loss_or_double() -> None:
    async with hosted(1) as host:
        c = await connect(host.port)
        reports = Reports(c, BRCB)
        await reports.subscribe()
        await reports.pump(0.3)
        seen = []
        for count in range(100, 105):
            host.put("m1.active_energy_import", count)
            seen += await reports.pump(0.15)
        last = seen[-1].entry_id
        await c.abort()
        for count in range(105, 125):
            host.put("m1.active_energy_import", count)
            await asyncio.sleep(0.06)
        async with client(host.port) as c:
            reports = Reports(c, BRCB)
            await reports.subscribe(entry_id=last)
            missed = await reports.pump(1.0)
            host.put("m1.active_energy_import", 125)
            missed += await reports.pump(0.3)
            await reports.disable()

    counts = [next(part for part in member(report, SUP_WH) if isinstance(part, int)) for report in seen + missed]
    assert counts == list(range(100, 126))
    assert not any(report.buffer_overflow for report in missed)
    assert len({bytes(report.entry_id) for report in seen + missed}) == len(counts)


async def test_a_change_within_the_deadband_is_not_passed_on() -> None:
    async with hosted(1, rules=[{"match": "*.frequency", "deadband": 0.05}]) as host, client(host.port) as c:
        read = "GW1m1/MMXU1.Hz.mag.f"
        found = []
        for value in (50.0, 50.03, 50.06):
            host.put("m1.frequency", value)
            await asyncio.sleep(0.15)
            found.append(round(await c.read_float(read, FC.MX), 2))

    assert found == [50.0, 50.0, 50.06]


async def test_the_sixth_client_is_refused_and_a_free_place_is_given_again() -> None:  # I-01, BARS L2
    async with hosted(1) as host:
        clients = [await connect(host.port) for _ in range(5)]
        begin = time.monotonic()
        with pytest.raises(Exception, match=r"."):
            await connect(host.port)
        took = time.monotonic() - begin
        assert await clients[0].get_server_directory() == ["GW1m1"]
        # the library takes five and no more: the worker's own question finds no place, and that is no reason to end it
        asked = host.counters["probe_ok"]
        await until(lambda: host.counters["probe_ok"] > asked, 12)
        assert host.counters["probe_failed"] == 0
        await clients.pop().disconnect()
        for _ in range(20):
            try:
                clients.append(await connect(host.port))
                break
            except Exception:  # noqa: BLE001 - the client raises a plain Exception
                await asyncio.sleep(0.1)
        again = len(clients)
        for c in clients:
            await c.disconnect()
        await until(lambda: host.counters.get("refused_full", 0) >= 1)

    assert took < 1
    assert again == 5


async def test_silent_and_half_connections_do_not_lock_the_server() -> None:  # BARS R4
    async with hosted(1) as host:
        streams = [await asyncio.open_connection("127.0.0.1", host.port) for _ in range(300)]
        for _, writer in streams[150:]:
            writer.write(b"\x03\x00")
        begin = time.monotonic()
        async with client(host.port) as c:
            found = await c.get_server_directory()
        took = time.monotonic() - begin
        ends = [await asyncio.wait_for(reader.read(1), 3) for reader, _ in streams]
        for _, writer in streams:
            writer.close()

    assert found == ["GW1m1"]
    assert took < 1
    assert ends == [b""] * 300


async def test_only_a_right_password_associates() -> None:
    async with hosted(1, passwords=["secret", "other"]) as host:
        port = str(host.port)

        async def attempt(*password: str) -> int:
            # the C client loses 1 connection in 50 by itself: a success may need a second try, a refusal never
            # turns into one
            return min([await asyncio.to_thread(raw, "associate", port, *password) for _ in range(2)])

        assert await attempt("secret") == 0
        assert await attempt("other") == 0
        assert await attempt("secre") != 0
        assert await attempt("x" * 300) != 0
        assert await attempt() != 0
        await until(lambda: host.counters.get("wrong_passwords", 0) >= 3)
        with pytest.raises(Exception, match=r"."):
            await connect(host.port)


async def test_tls_wants_a_certificate_of_the_client() -> None:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        certificate, key = authority.issue("server")
        mine = [path.read_bytes() for path in authority.issue("client")]
        tls = {"certificate": str(certificate), "key": str(key), "client_ca": str(authority.file)}
        async with hosted(1, listener={"tls": tls}) as host:

            async def read(own: bytes | None, own_key: bytes | None) -> float:
                options = iec61850.TlsConfig(authority.file.read_bytes(), own, own_key)
                at = f"127.0.0.1:{host.port}"
                c = await iec61850.IedConnection.connect_tls(at, options, server_name="127.0.0.1", timeout_ms=4000)
                value = await c.read_float("GW1m1/MMXU1.TotW.mag.f", FC.MX)
                await c.disconnect()
                return float(value)

            assert await read(*mine) == 231.25
            with pytest.raises(Exception, match=r"."):
                await read(None, None)
            with pytest.raises(Exception, match=r"."):
                await connect(host.port)


def flat(report: Any) -> list[Any]:
    return [leaf for entry in report.entries for leaf in leaves(entry.value)]


def leaves(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, list | tuple) else [value]


def is_time(part: Any) -> bool:
    return not isinstance(part, int | float | str | bool) and len(bytes(part)) == 8
