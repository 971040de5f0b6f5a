"""Where the CID shows a point, and the one CID of a folder."""

from pathlib import Path

import pytest

from bridge.projections.iec61850.cid import cid
from bridge.verify.client import ClientFailed
from bridge.verify.iec61850 import Iec61850Reader, Place, only_cid, places_of
from tests.support.mms_site import plan_of, site
from tests.support.workers import spare_ports

FACTS = site(2)
TEXT = cid(plan_of(FACTS), "1")


def test_every_bound_point_has_its_reference_leaf_and_constraint() -> None:
    places = places_of(TEXT)

    assert places.keys() == {definition.id for definition in FACTS.points}
    assert places["m2.current_l2"] == Place("GW1m2/MMXU1.A.phsB", "cVal.mag.f", "MX")
    assert places["m1.active_energy_import"] == Place("GW1m1/MMTR1.SupWh", "actVal", "ST")
    assert places["m1.active_power_total"] == Place("GW1m1/MMXU1.TotW", "mag.f", "MX")


def test_a_folder_has_exactly_one_cid(tmp_path: Path) -> None:
    with pytest.raises(ClientFailed, match="found 0"):
        only_cid(tmp_path)
    with pytest.raises(ClientFailed, match="No such file"):
        only_cid(tmp_path / "gone")
    (tmp_path / "x.CID").write_bytes(TEXT)

    assert only_cid(tmp_path) == TEXT


@pytest.mark.real_time
def test_a_server_that_is_not_there_is_named_and_no_trace() -> None:
    reader = Iec61850Reader("127.0.0.1", spare_ports(1), TEXT, {})

    with pytest.raises(ClientFailed, match=r"iec61850: .+"):
        reader.read(FACTS.points)
    reader.close()
