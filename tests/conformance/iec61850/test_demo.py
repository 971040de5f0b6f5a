"""From the meter's register to an MMS client: the demo's IEC 61850 server shows what its simulated meters hold."""

import math
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.projections.iec61850 import scl
from bridge.projections.iec61850.tree import Binding
from tests.support.demo import Demo, running_demo, wait_until
from tests.support.mms_client import FC, Reports, connect, reasons, run

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(180)]
PORT_BASE = 25000
# of mappings/demo/iec61850.yaml
DEADBAND_HZ = 0.01


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), PORT_BASE) as running:
        yield running


def exported(demo: Demo) -> list[Binding]:
    """What the exported CID binds."""
    out = demo.folder / "pack"
    done = demo.bridge("export", "cid", str(demo.site), "--out", str(out))
    assert done.returncode == 0, done.stderr
    return [binding for binding in scl.load((out / "DEMO.cid").read_bytes()).bindings if not binding.health_of]


def read_all(demo: Demo, bindings: list[Binding]) -> dict[str, tuple[Any, str]]:
    """Return (value, quality) of every point as the client reads it."""

    async def steps() -> dict[str, tuple[Any, str]]:
        c = await connect(demo.server("iec61850")["port"])
        found = {}
        for binding in bindings:
            fc, name = FC.MX if binding.b_type == "FLOAT32" else FC.ST, f"DEMO{binding.object}"
            value = await c.read(f"{name}.{binding.leaf}", fc)
            found[binding.point] = value, str(await c.read_quality(f"{name}.q", fc))
        await c.disconnect()
        return found

    return run(steps())


def same(row: dict[str, Any], value: Any, b_type: str) -> bool:
    if row["value"] is None:
        return True
    if b_type == "INT64":
        # the exact decimal of the bridge, its point taken away, is the count
        return bool(value == int(str(row["value"]).replace(".", "")))
    if row["point"].endswith(".frequency"):
        return bool(abs(value - row["value"]) < DEADBAND_HZ)
    if b_type == "FLOAT32":
        return math.isclose(value, struct.unpack("f", struct.pack("f", row["value"]))[0], rel_tol=1e-6)
    # a time is a text in the client's hands and nanoseconds in the bridge's
    return bool(value == row["value"]) or str(value)[:2] == "20"


def test_the_client_reads_every_point_of_the_demo_as_the_bridge_holds_it(demo: Demo) -> None:
    bindings = exported(demo)
    demo.pin_everything()
    demo.settle()

    held, found, again = demo.live(), read_all(demo, bindings), demo.live()
    # what moves by itself, a demand or a clock, may differ; so may a quality on a machine that is late
    still = {
        point
        for point, row in held.items()
        if (again[point]["value"], again[point]["quality"]) == (row["value"], row["quality"])
    }
    wrong = [
        (b.point, found[b.point], held[b.point]) for b in bindings
        if b.point in still and not same(held[b.point], found[b.point][0], b.b_type)
    ]  # fmt: skip

    assert found.keys() == held.keys()
    assert len(still) > 250
    assert wrong == []
    good = [p for p, row in held.items() if row["quality"] == "good" and p in still]
    assert len(good) > 150
    assert [p for p in good if "GOOD" not in found[p][1]] == []


def test_a_meter_that_changes_and_then_dies_is_followed(demo: Demo) -> None:
    bindings = [b for b in exported(demo) if b.point == "main.active_power_total"]

    def shown() -> tuple[Any, str]:
        return read_all(demo, bindings)["main.active_power_total"]

    demo.set("main", "active_power_total", 123.5)
    wait_until(lambda: shown()[0] == 123.5, 60)
    demo.fault("main", "dead")
    try:
        wait_until(lambda: "old_data=True" in shown()[1], 60)
        value, quality = shown()
        assert value == 123.5
        assert "QUESTIONABLE" in quality
    finally:
        demo.fault("main", None)
    wait_until(lambda: "GOOD" in shown()[1], 60)


def test_a_counter_is_reported_when_it_moves(demo: Demo) -> None:
    async def steps() -> list[Any]:
        c = await connect(demo.server("iec61850")["port"])
        reports = Reports(c, "DEMOmain/LLN0.BR.brcbEvent01")
        await reports.subscribe()
        got = await reports.pump(12)
        await reports.disable()
        await c.disconnect()
        return got

    for point in ("active_energy_import", "active_power_total"):
        demo.set("main", point, None)
    got = run(steps())

    assert any("data_change" in reasons(report) for report in got)
