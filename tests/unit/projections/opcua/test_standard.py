"""The file of namespace 0: what is damaged or could be somebody else's is not read."""

from pathlib import Path

import pytest
from asyncua import ua
from asyncua.server.address_space import NodeData

from bridge.projections.opcua.standard import StandardNodes, save


def written(folder: Path) -> Path:
    path = folder / "nodes.bin"
    save({ua.NodeId(number): NodeData(ua.NodeId(number)) for number in (35, 85)}, path)
    return path


def test_nodes_come_back_as_they_were(tmp_path: Path) -> None:
    nodes = StandardNodes(written(tmp_path))

    assert (35 in nodes, 85 in nodes, 86 in nodes) == (True, True, False)
    assert nodes.load(85).nodeid == ua.NodeId(85)
    assert nodes.load(85) is not nodes.load(85)


def test_a_file_that_others_could_have_written_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o620)

    with pytest.raises(ValueError, match="could be written by others"):
        StandardNodes(path)


@pytest.mark.parametrize("at", [0, 5, 20, -1])
def test_a_flipped_bit_is_seen(tmp_path: Path, at: int) -> None:
    path = written(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)

    with pytest.raises(ValueError, match="damaged"):
        StandardNodes(path)


def test_a_cut_file_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path)
    for size in (0, 5, 30):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(ValueError, match=r"damaged|too short"):
            StandardNodes(path)
