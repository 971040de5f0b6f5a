"""The MIB in mibs/: checked by smilint, snmptranslate and pysmi, and true to what the worker serves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.projections.snmp.mib import MODULE, mib_text
from tests.support.net_snmp import HAVE_TOOLS, PUBLIC, tool
from tests.support.snmp_site import MIB_FOLDERS, TOP, facts, plan_of, projected, spec_of, store_of
from tests.support.workers import running

MIB = TOP / "mibs" / f"{MODULE}.mib"
PORT = 21120
_DESCRIPTOR = re.compile(r"^(\w+)\s+(?:OBJECT-TYPE|NOTIFICATION-TYPE)$", re.MULTILINE)


def complaints(folder: Path, text: str) -> list[str]:
    """What smilint says of our module: its exit status is 0 whatever it finds."""
    for path in MIB_FOLDERS[0].glob("*.txt"):
        shutil.copyfile(path, folder / path.stem)
    (folder / MODULE).write_text(text)
    done = subprocess.run(
        ["smilint", "-l", "6", "-s", str(folder / MODULE)],
        env={"SMIPATH": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if MODULE in line]


# S-09
@pytest.mark.skipif(shutil.which("smilint") is None, reason="Debian package smitools")
def test_smilint_has_nothing_to_say(tmp_path: Path) -> None:
    assert complaints(tmp_path, MIB.read_text()) == []


@pytest.mark.skipif(shutil.which("smilint") is None, reason="Debian package smitools")
def test_smilint_would_say_something(tmp_path: Path) -> None:
    broken = MIB.read_text().replace(
        "meterVoltageL1N OBJECT-TYPE\n    SYNTAX      Integer32",
        "meterVoltageL1N OBJECT-TYPE\n    SYNTAX      MbText",
        1,
    )

    assert complaints(tmp_path, broken)


@pytest.mark.skipif(not HAVE_TOOLS, reason="Debian package snmp")
def test_snmptranslate_finds_every_name_at_its_number() -> None:
    plan = plan_of(projected())
    names = [f"{MODULE}::{column.name}" for column in plan.columns]
    done = subprocess.run(
        ["snmptranslate", "-M", ":".join(map(str, MIB_FOLDERS)), "-m", MODULE, "-On", *names],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    entry = ".".join(map(str, (*plan.enterprise, 1, 1, 4, 1)))
    assert done.stdout.split() == [f".{entry}.{column.arc}" for column in plan.columns]


def test_pysmi_compiles_it(tmp_path: Path) -> None:
    pytest.importorskip("pysmi")
    for path in MIB_FOLDERS[0].glob("*.txt"):
        shutil.copyfile(path, tmp_path / path.stem)
    shutil.copyfile(MIB, tmp_path / MODULE)
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-c", "from pysmi.scripts.mibdump import start; start()", f"--mib-source=file://{tmp_path}",
            "--destination-format=json", f"--destination-directory={tmp_path / 'out'}", "--rebuild", MODULE,
        ],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / f"{MODULE}.json").stat().st_size > 10_000


# S-08
def test_names_begin_with_a_small_letter_and_descriptions_name_quantity_and_unit() -> None:
    text = MIB.read_text()
    names = _DESCRIPTOR.findall(text)

    assert len(names) == len(set(names)) > 100
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9]*", name) for name in names)
    voltage = text[text.index("meterVoltageL1N OBJECT-TYPE") :][:300]
    assert '"Voltage between L1 and neutral. In steps of 0.01 V."' in voltage


# S-08
def test_the_text_follows_what_the_mapping_shows() -> None:
    without = mib_text(plan_of(projected(rules=[{"match": "*voltage_*", "skip": True}])))
    moved = mib_text(plan_of(projected(enterprise_oid="1.3.6.1.4.1.54321.7")))

    assert "meterVoltageL1N" in MIB.read_text()
    assert "meterVoltageL1N" not in without
    assert "mbArc1 OBJECT IDENTIFIER ::= { enterprises 54321 }" in moved
    assert "mbRoot OBJECT IDENTIFIER ::= { mbArc1 7 }" in moved


@pytest.mark.real_time
@pytest.mark.skipif(not HAVE_TOOLS, reason="Debian package snmp")
async def test_everything_the_worker_serves_below_the_module_has_a_name_in_the_mib(tmp_path: Path) -> None:
    made = projected(PORT)
    async with running(store_of(facts()), [spec_of(made, tmp_path)]):
        _, said = await tool("snmpbulkwalk", PORT, f"{PUBLIC} -OQ", "meterbridgeMIB")

    unnamed = [line for line in said.splitlines() if not re.match(rf"{MODULE}::\w+(\.\d+)+ = ", line)]
    served = {line.split("::")[1].split(".")[0] for line in said.splitlines() if "::" in line}
    assert served >= {column.name for column in plan_of(made).columns}
    assert [line for line in unnamed if "::" in line] == []
    assert not [name for name in served if name.endswith(("Entry", "Table", "mbObjects"))]
