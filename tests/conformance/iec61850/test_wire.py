"""What goes over the wire, judged by a foreign dissector: tshark finds nothing malformed."""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.conformance.iec61850.hosted import FakePolicy, hosted
from tests.support.mms_recorder import pcap, recorded
from tests.support.mms_session import everything

pytestmark = [pytest.mark.real_time, pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark here")]
RULES = [{"match": "*.digital_output_?", "control": "direct"}]


async def test_a_dissector_understands_every_message(tmp_path: Path) -> None:
    async with hosted(2, FakePolicy(delay_s=0), rules=RULES) as host, recorded(host.port) as recording:
        await everything(recording.port)
    capture = tmp_path / "mms.pcap"
    capture.write_bytes(pcap(recording.pieces))

    packets = dissected(capture, "")
    malformed = dissected(capture, "_ws.malformed or _ws.expert.severity == error")
    kinds = Counter(key for packet in packets for key in packet["_source"]["layers"].get("mms", {}))

    assert malformed == []
    assert len(packets) > 50
    for service in (
        "mms.initiate_RequestPDU_element",
        "mms.confirmed_ResponsePDU_element",
        "mms.unconfirmed_PDU_element",
    ):
        assert kinds[service] > 0, kinds


def dissected(capture: Path, wanted: str) -> list[dict[str, dict[str, dict[str, dict[str, object]]]]]:
    command = ["tshark", "-r", str(capture), "-T", "json", *(["-Y", wanted] if wanted else [])]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: list[dict[str, dict[str, dict[str, dict[str, object]]]]] = json.loads(done.stdout)
    return found
