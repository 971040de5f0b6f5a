"""What the agent keeps over restarts, and what Linux tells of its interfaces."""

from pathlib import Path

import pytest

from bridge.projections.snmp.identity import engine_id_of
from bridge.projections.snmp.interfaces import Interfaces, find_interfaces, parse_counters, reached_through
from bridge.projections.snmp.oidtree import Tree

PLAYPEN = (1, 3, 6, 1, 4, 1, 8072, 9999)


def test_the_engine_id_is_made_once_and_kept(tmp_path: Path) -> None:
    first = engine_id_of(tmp_path, PLAYPEN, "")

    assert first[:5] == bytes.fromhex("80001f8805")
    assert len(first) == 17
    assert engine_id_of(tmp_path, PLAYPEN, "") == first
    assert engine_id_of(tmp_path, PLAYPEN, "8000000001020304") == bytes.fromhex("8000000001020304")


def test_a_broken_file_stops_the_start_because_every_key_would_change(tmp_path: Path) -> None:
    (tmp_path / "engine_id").write_text("80\n")

    with pytest.raises(ValueError, match="expected 5 to 32 octets"):
        engine_id_of(tmp_path, PLAYPEN, "")


DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo: 100 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
  eth0:110 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26
broken: 1 2
"""


def test_counters_of_interfaces_are_read_from_the_kernel() -> None:
    assert parse_counters(DEV) == {"lo": [100, *range(2, 17)], "eth0": [110, *range(12, 27)]}


def test_every_interface_has_a_row_and_one_that_is_gone_has_no_counters(tmp_path: Path) -> None:
    for name, index, kind in (("eth7", "7", "1"), ("lo", "1", "772"), ("gone", "9", "1")):
        (tmp_path / name).mkdir()
        for attribute, text in (("ifindex", index), ("type", kind), ("mtu", "1500"), ("address", "02:00:00:00:00:01"),
                                ("flags", "0x1003"), ("operstate", "up"), ("speed", "1000")):  # fmt: skip
            (tmp_path / name / attribute).write_text(text + "\n")
    found = find_interfaces(tmp_path)
    assert [(i.index, i.name, i.type, i.speed) for i in found] == [
        (1, "lo", 24, 1000), (7, "eth7", 6, 1000), (9, "gone", 6, 1000)
    ]  # fmt: skip
    assert reached_through(found, "127.0.0.1") == 1
    assert reached_through(found, "0.0.0.0") == 7
    tree = Tree(Interfaces(found, lambda: 10**12, tmp_path).tables())
    shown = [tree.varbind(row) for row in range(tree.size)]
    assert shown[0].endswith(b"\x02\x01\x03")
    assert sum(bool(varbind) for varbind in shown) >= 1 + 3 * 9


def test_without_sysfs_there_are_no_interfaces(tmp_path: Path) -> None:
    assert find_interfaces(tmp_path / "none") == []
    assert reached_through([], "0.0.0.0") == 1
