"""Foreign Modbus clients behind one face: none of them shares a line with our server."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pyModbusTCP.client import ModbusClient  # type: ignore[import-untyped]

HOST = "127.0.0.1"
ANSWER_S = 5.0
# table numbers of `read` are the function codes 1 to 4
COILS, INPUTS, HOLDING, INPUT_REGISTERS = 1, 2, 3, 4


class Reader(Protocol):
    def read(self, table: int, unit_id: int, address: int, count: int) -> list[int]:
        """Raises: AssertionError for an exception reply."""
        ...

    def close(self) -> None: ...


class Pymodbus:
    """On TCP, or with the client it is given."""

    def __init__(self, port: int, client: ModbusTcpClient | ModbusSerialClient | None = None) -> None:
        self.client = client or ModbusTcpClient(HOST, port=port, timeout=ANSWER_S, retries=0)
        assert self.client.connect()

    def read(self, table: int, unit_id: int, address: int, count: int) -> list[int]:
        client = self.client
        if table in (COILS, INPUTS):
            ask = client.read_coils if table == COILS else client.read_discrete_inputs
            reply = ask(address, count=count, device_id=unit_id)
            assert not reply.isError(), reply
            return [int(bit) for bit in reply.bits[:count]]
        ask = client.read_holding_registers if table == HOLDING else client.read_input_registers
        reply = ask(address, count=count, device_id=unit_id)
        assert not reply.isError(), reply
        return list(reply.registers)

    def close(self) -> None:
        self.client.close()  # type: ignore[no-untyped-call]


class PyModbusTcp:
    def __init__(self, port: int) -> None:
        self.client = ModbusClient(host=HOST, port=port, timeout=ANSWER_S, auto_open=True)

    def read(self, table: int, unit_id: int, address: int, count: int) -> list[int]:
        client = self.client
        client.unit_id = unit_id
        ask = {
            COILS: client.read_coils,
            INPUTS: client.read_discrete_inputs,
            HOLDING: client.read_holding_registers,
            INPUT_REGISTERS: client.read_input_registers,
        }[table]
        reply = ask(address, count)
        assert reply is not None, client.last_except_as_txt
        return [int(word) for word in reply]

    def close(self) -> None:
        self.client.close()


class Mbpoll:
    """The mbpoll program: one process per read."""

    _TYPES: ClassVar = {COILS: "0", INPUTS: "1", HOLDING: "4:hex", INPUT_REGISTERS: "3:hex"}

    def __init__(self, port: int, serial: str = "") -> None:
        """`serial`: the path of a serial port of 115200 baud without parity, instead of TCP."""
        tcp, rtu = ["-m", "tcp", "-p", str(port)], ["-m", "rtu", "-b", "115200", "-P", "none"]
        self._carrier, self._target = (rtu, serial) if serial else (tcp, HOST)

    def read(self, table: int, unit_id: int, address: int, count: int) -> list[int]:
        asked = [*self._carrier, "-a", str(unit_id), "-t", self._TYPES[table]]
        asked += ["-0", "-r", str(address), "-c", str(count), "-1", "-o", str(ANSWER_S), self._target]
        said = subprocess.run(["mbpoll", *asked], capture_output=True, text=True, timeout=20, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
        return [int(value, 0) for value in re.findall(r"^\[\d+\]:\s+(\S+)", said.stdout, re.M)]

    def close(self) -> None:
        """Nothing stays open."""


class Libmodbus:
    """Our few lines of C around libmodbus, compiled on the spot."""

    def __init__(self, port: int, folder: Path, source: Path) -> None:
        program = folder / "read_blocks"
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmodbus"], capture_output=True, check=True)
        subprocess.run(["cc", "-O2", source, "-o", program, *flags.stdout.decode().split()], check=True)
        self.process = subprocess.Popen(
            [program, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def read(self, table: int, unit_id: int, address: int, count: int) -> list[int]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{table} {unit_id} {address} {count}\n")
        line = self.process.stdout.readline()
        assert line.strip(), "libmodbus ended"
        assert not line.startswith("error"), line
        return [int(word) for word in line.split()]

    def close(self) -> None:
        self.process.communicate(timeout=5)


Connect = Callable[[int], Reader]
