"""
The raw client of libiec61850, in a process of its own: what the Rust client cannot do.

The exit status is the error, 0 for success.

    python -m tests.support.mms_raw associate PORT [PASSWORD]
    python -m tests.support.mms_raw analogue PORT OBJECT VALUE
    python -m tests.support.mms_raw files PORT              0: the server has a file service
    python -m tests.support.mms_raw identify PORT VENDOR MODEL REVISION     0: that is what it says it is
"""

import subprocess
import sys
from pathlib import Path

import pyiec61850.pyiec61850 as lib

ROOT = Path(__file__).parents[2]


def raw(*words: str) -> int:
    """Run the client; return its error, 0 for success."""
    command = [sys.executable, "-m", "tests.support.mms_raw", *words]
    return subprocess.run(command, cwd=ROOT, timeout=20, check=False).returncode


def associate(connection: object, port: int, password: str | None) -> int:
    if password is not None:
        parameter = lib.AcseAuthenticationParameter_create()
        lib.AcseAuthenticationParameter_setAuthMechanism(parameter, lib.ACSE_AUTH_PASSWORD)
        lib.AcseAuthenticationParameter_setPassword(parameter, password)
        iso = lib.MmsConnection_getIsoConnectionParameters(lib.IedConnection_getMmsConnection(connection))
        lib.IsoConnectionParameters_setAcseAuthenticationParameter(iso, parameter)
    answer = lib.IedConnection_connect(connection, "127.0.0.1", port)
    return int(answer[-1] if isinstance(answer, tuple | list) else answer)


def analogue(connection: object, name: str, value: float) -> int:
    control = lib.ControlObjectClient_create(name, connection)
    made = lib.MmsValue_createEmptyStructure(1)
    lib.MmsValue_setElement(made, 0, lib.MmsValue_newFloat(value))
    done = lib.ControlObjectClient_operate(control, made, 0)
    lib.ControlObjectClient_destroy(control)
    return 0 if done else 1


def files(connection: object) -> int:
    answer = lib.IedConnection_getFileDirectory(connection, "/")
    return int(answer[-1] if isinstance(answer, tuple | list) else answer)


def identify(connection: object, *expected: str) -> int:
    failed = lib.MmsError_create()
    found = lib.MmsConnection_identify(lib.IedConnection_getMmsConnection(connection), failed)
    same = found is not None and (found.vendorName, found.modelName, found.revision) == expected
    return 0 if same else 1


def main() -> int:
    what, port, *rest = sys.argv[1:]
    connection = lib.IedConnection_create()
    error = associate(connection, int(port), rest[0] if what == "associate" and rest else None)
    if error == 0 and what == "analogue":
        error = analogue(connection, rest[0], float(rest[1]))
    if error == 0 and what == "files":
        error = files(connection)
    if error == 0 and what == "identify":
        error = identify(connection, *rest)
    lib.IedConnection_close(connection)
    lib.IedConnection_destroy(connection)
    return error


if __name__ == "__main__":
    sys.exit(main())
