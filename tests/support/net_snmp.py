"""The net-snmp tools as other people run them: by MIB name, against one port of this machine."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.snmp_site import MIB_FOLDERS, MODULE

HAVE_TOOLS = shutil.which("snmpget") is not None
HAVE_TRAPD = shutil.which("snmptrapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None
_MIBS = ["-M", ":".join(map(str, MIB_FOLDERS)), "-m", MODULE]
_LIMIT_S = 30.0

PUBLIC, PRIVATE = "-v2c -c public", "-v2c -c private"
OPS = "-v3 -l authPriv -u ops -a SHA-256 -A auth-pass-1 -x AES -X priv-pass-1"
BIG = "-v3 -l authPriv -u big -a SHA-512 -A auth-pass-1 -x AES-256 -X priv-pass-1"
LOOK = "-v3 -l authNoPriv -u look -a SHA-384 -A auth-pass-1"


async def tool(name: str, port: int, options: str, *arguments: str, host: str = "127.0.0.1") -> tuple[int, str]:
    """Return exit status and everything the tool says."""
    at = ["-t", "2", "-r", "1", f"{host}:{port}"]
    process = await asyncio.create_subprocess_exec(
        name,
        *options.split(),
        *_MIBS,
        *at,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "LC_ALL": "C"},
    )
    async with asyncio.timeout(_LIMIT_S):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode("utf-8", "replace")


async def walk(port: int, options: str, name: str) -> dict[str, str]:
    """Return "object.index" -> value as `snmpbulkwalk -OQ` shows it, without the module's name."""
    status, said = await tool("snmpbulkwalk", port, f"{options} -OQU -Ih", name)
    assert status == 0, said
    lines = (line.partition(" = ") for line in said.splitlines())
    return {name.removeprefix(f"{MODULE}::"): value for name, _, value in lines}


class Trapd:
    """What snmptrapd has logged: one line a notification."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def lines(self) -> list[str]:
        return [line for line in self._log.read_text("utf-8", "replace").splitlines() if line.startswith("GOT ")]

    def of(self, name: str) -> list[str]:
        return [line for line in self.lines() if f"= {name}" in line or f"::{name}" in line]


@asynccontextmanager
async def trapd(folder: Path, port: int) -> AsyncIterator[Trapd]:
    """Run snmptrapd with the community and users of `snmp_site`."""
    configuration, log = folder / "trapd.conf", folder / "trapd.log"
    configuration.write_text(
        "authCommunity log public\n"
        "createUser -e 0x80001f8805aabbccddeeff ops SHA-256 auth-pass-1 AES priv-pass-1\n"
        "createUser ops SHA-256 auth-pass-1 AES priv-pass-1\n"
        "authUser log ops\n"
        "format2 GOT %P | %v\\n\n"
    )
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            shutil.which("snmptrapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "snmptrapd",
            "-f", "-Lo", "-C", "-c", str(configuration), *_MIBS, "-OU", f"127.0.0.1:{port}",
            stdout=out, stderr=out, env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder / "persistent")},
        )  # fmt: skip
    try:
        async with asyncio.timeout(10):
            while "NET-SNMP version" not in log.read_text("utf-8", "replace"):  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.05)
        yield Trapd(log)
    finally:
        process.terminate()
        await process.wait()
