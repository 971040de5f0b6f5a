"""
`python -m tests.support.mms_dynamic PORT BLOCK DATASET [MEMBER]`: issue 596 of libiec61850, with its own client.

Makes DATASET of MEMBER, has the report block take it, enables it, and is gone without a word. Prints the error of each
step: 0 is done.
"""

import ctypes
import os
import sys
import time
from pathlib import Path

import pyiec61850

# RCB_ELEMENT_RPT_ENA, RCB_ELEMENT_DATSET
_ENABLE, _DATA_SET = 2, 8


def library() -> ctypes.CDLL:
    folder = Path(str(pyiec61850.__file__)).parent.parent / "pyiec61850_ng.libs"
    lib = ctypes.CDLL(str(next(folder.glob("libiec61850*.so*"))))
    for name in ("IedConnection_create", "LinkedList_create", "IedConnection_getRCBValues"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


def main() -> None:
    port, block, data_set, *members = sys.argv[1:]
    lib, error = library(), ctypes.c_int(0)
    connection, failed = ctypes.c_void_p(lib.IedConnection_create()), ctypes.byref(error)
    lib.IedConnection_connect(connection, failed, b"127.0.0.1", int(port))
    steps = [error.value]
    kept = [ctypes.create_string_buffer(member.encode()) for member in members]
    if kept:
        names = ctypes.c_void_p(lib.LinkedList_create())
        for member in kept:
            lib.LinkedList_add(names, member)
        lib.IedConnection_createDataSet(connection, failed, data_set.encode(), names)
        steps.append(error.value)
    values = ctypes.c_void_p(lib.IedConnection_getRCBValues(connection, failed, block.encode(), None))
    lib.ClientReportControlBlock_setDataSetReference(values, data_set.encode())
    lib.IedConnection_setRCBValues(connection, failed, values, ctypes.c_uint32(_DATA_SET), ctypes.c_bool(True))
    steps.append(error.value)
    lib.ClientReportControlBlock_setRptEna(values, ctypes.c_bool(True))
    lib.IedConnection_setRCBValues(connection, failed, values, ctypes.c_uint32(_ENABLE), ctypes.c_bool(True))
    steps.append(error.value)
    sys.stdout.write(" ".join(map(str, steps)) + "\n")
    sys.stdout.flush()
    time.sleep(0.3)
    os._exit(0)


if __name__ == "__main__":
    main()
