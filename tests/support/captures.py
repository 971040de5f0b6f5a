"""Frames on the loopback, captured and dissected by tshark: the second opinion on what a server sends."""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.workers import until

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None or os.geteuid() != 0, reason="needs tshark and root")


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@contextlib.asynccontextmanager
async def captured(port: int, file: Path) -> AsyncIterator[None]:
    """Write what goes over a TCP port into `file`, from the first frame to the last."""
    arguments = ["-i", "lo", "-q", "-w", str(file), "-f", f"tcp port {port}"]
    tshark = await asyncio.create_subprocess_exec("tshark", *arguments, stderr=subprocess.DEVNULL)
    try:
        # the file is opened with the interface
        await until(lambda: size(file) > 0, 20)
        yield
        held = -1
        while held != size(file):
            held = size(file)
            await asyncio.sleep(1.0)
    finally:
        tshark.terminate()
        await tshark.wait()


# tshark 4.0 reads the 32-bit value of these and does not step over it: what follows it takes for another header.
_NOT_STEPPED_OVER = ("0x2b01", "0x2b03")


def dissected(file: Path, port: int) -> tuple[int, list[str]]:
    """Return how many DNP3 frames from `port` tshark sees, and what it finds wrong with them."""
    decode = ["tshark", "-r", str(file), "-d", f"tcp.port=={port},dnp3", "-T", "fields"]
    fields = ("frame.number", "dnp3.al.obj", "_ws.expert.message")
    ours = ["-Y", f"dnp3 && tcp.srcport == {port}", *(word for field in fields for word in ("-e", field))]
    said = subprocess.run([*decode, *ours], capture_output=True, text=True, check=True).stdout.splitlines()
    incorrect = ["-Y", "dnp3.hdr.CRC.incorrect || dnp3.data_chunk.CRC.incorrect", "-e", "frame.number"]
    broken = subprocess.run([*decode, *incorrect], capture_output=True, text=True, check=True).stdout.splitlines()
    faults = []
    for line in said:
        _, objects, message = line.split("\t")
        # what it calls abnormal is an answer that says no
        if message not in ("", "IIN Abnormality") and not objects.startswith(_NOT_STEPPED_OVER):
            faults.append(line)
    return len(said), faults + broken


def objects_seen(file: Path, port: int) -> set[tuple[int, int]]:
    """Return group and variation of every object header from `port`; tshark shows none of octet strings."""
    decode = ["tshark", "-r", str(file), "-d", f"tcp.port=={port},dnp3", "-T", "fields"]
    ours = ["-Y", f"dnp3 && tcp.srcport == {port}", "-e", "dnp3.al.obj"]
    said = subprocess.run([*decode, *ours], capture_output=True, text=True, check=True).stdout
    found = [int(text, 0) for line in said.splitlines() for text in line.split(",") if text]
    return {(number >> 8, number & 0xFF) for number in found}
