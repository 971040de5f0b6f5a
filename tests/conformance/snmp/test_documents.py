"""What docs/protocols/snmp.md tells people to type is there: names, numbers, a mapping that is read."""

import re

import msgspec
import yaml

from bridge.config.ledger import Ledger
from bridge.projections.snmp.mapping import Mapping, project
from tests.support.snmp_site import TOP, facts, plan_of, projected

PAGE = (TOP / "docs" / "protocols" / "snmp.md").read_text()
MIB = (TOP / "mibs" / "METERBRIDGE-MIB.mib").read_text()
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_every_name_the_page_gives_is_in_the_mib() -> None:
    named = set(re.findall(r"\b(?:mb[A-Z]\w+|meter[A-Z]\w+)", PAGE))

    assert len(named) > 25
    # a pattern over two names
    assert {name for name in named if not re.search(rf"\b{name}\b", MIB)} == {"mbDevice", "meterbridge"} & named


def test_the_example_of_the_mapping_is_one_the_bridge_reads() -> None:
    example = next(block for block in BLOCKS if isinstance(block, dict) and "listener" in block)
    for key in ("overrides", "devices"):
        del example[key]
    plan = plan_of(project(msgspec.convert(example, Mapping), facts(), Ledger()))

    assert [target.buffer for target in plan.traps.targets] == [10, 1]
    assert plan.traps.levels == (False, True, True)


def test_the_numbers_for_zabbix_are_those_of_the_columns() -> None:
    arcs = {column.name: column.arc for column in plan_of(projected()).columns}

    assert f".1.1.4.1.{arcs['meterActivePower']}." in PAGE
    assert f".1.1.4.1.{arcs['meterActiveEnergyImport']}." in PAGE


def test_the_walks_and_lookups_for_the_exporter_are_objects_of_the_mib() -> None:
    generator = next(block for block in BLOCKS if isinstance(block, dict) and "modules" in block)
    module = generator["modules"]["meterbridge"]
    names = [*module["walk"][1:], *module["overrides"]]
    names += [name for lookup in module["lookups"] for name in (*lookup["source_indexes"], lookup["lookup"])]

    assert [name for name in names if not re.search(rf"^{name} ", MIB, re.MULTILINE)] == []
