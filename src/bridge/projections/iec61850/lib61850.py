"""
The C functions of libiec61850 that the bridge uses: one table that is both the ctypes signature and the Python type.

Nothing else in the bridge imports ctypes for this library. A callback that raises is printed and IGNORED by ctypes, so
that the library sees whatever lies in the return register: every callback therefore passes through `fail_closed`.
"""

import contextlib
import ctypes
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Protocol, TypeVar, cast

# The only version whose enum values and signatures were checked against this table.
VERSION: Final = "1.6.1"

P, S, N, B = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_bool
U8, U16, U32, I32, I64, F = (
    ctypes.c_uint8,
    ctypes.c_uint16,
    ctypes.c_uint32,
    ctypes.c_int32,
    ctypes.c_int64,
    ctypes.c_float,
)
# Timestamp is a union over 8 bytes, passed by pointer; a bytes object of 8 is such a pointer for the time of the call.
STAMP = ctypes.c_char_p

# (action, parameter, ctlVal, test) -> ControlHandlerResult
ControlHandler = ctypes.CFUNCTYPE(N, P, P, P, B)
# (action, parameter, ctlVal, test, interlockCheck) -> CheckHandlerResult
CheckHandler = ctypes.CFUNCTYPE(N, P, P, P, B, B)
# (parameter, authentication, securityToken out, application reference) -> accepted
Authenticator = ctypes.CFUNCTYPE(B, P, P, ctypes.POINTER(P), P)
# (server, connection, connected, parameter)
ConnectionHandler = ctypes.CFUNCTYPE(None, P, P, B, P)

# (parameter, report block, connection, event, name of the attribute, error)
ReportBlockHandler = ctypes.CFUNCTYPE(None, P, P, P, N, S, N)

Handle = int
Callback = Any  # a CFUNCTYPE instance; ctypes has no public name for its type


class LibraryError(Exception):
    """libiec61850 is missing, of another version, or refused a call."""


_Function = TypeVar("_Function", bound=Callable[..., object])
_SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {}


def c(result: Any, *arguments: Any) -> Callable[[_Function], _Function]:
    """Give a row of the table its C signature."""

    def note(function: _Function) -> _Function:
        _SIGNATURES[function.__name__] = (result, arguments)
        return function

    return note


class Functions(Protocol):
    """Every row: C result and arguments in the decorator, the same for Python below it. A null handle is None."""

    @c(S)
    def LibIEC61850_getVersionString(self) -> bytes: ...

    # model
    @c(P, S)
    def IedModel_create(self, name: bytes, /) -> Handle | None: ...
    @c(None, P)
    def IedModel_destroy(self, model: Handle, /) -> None: ...
    @c(P, S, P)
    def LogicalDevice_create(self, inst: bytes, model: Handle, /) -> Handle | None: ...
    @c(P, S, P)
    def LogicalNode_create(self, name: bytes, device: Handle, /) -> Handle | None: ...
    @c(P, S, P, N)
    def DataObject_create(self, name: bytes, parent: Handle, elements: int, /) -> Handle | None: ...
    @c(P, S, P, N, N, U8, N, U32)
    def DataAttribute_create(
        self, name: bytes, parent: Handle, kind: int, fc: int, triggers: int, elements: int, s_addr: int, /
    ) -> Handle | None: ...
    @c(None, P, P)
    def DataAttribute_setValue(self, attribute: Handle, value: Handle, /) -> None: ...
    @c(P, S, P)
    def DataSet_create(self, name: bytes, node: Handle, /) -> Handle | None: ...
    @c(P, P, S, N, S)
    def DataSetEntry_create(
        self, data_set: Handle, variable: bytes, index: int, component: bytes | None, /
    ) -> Handle | None: ...
    @c(P, S, P, S, B, S, U32, U8, U8, U32, U32)
    def ReportControlBlock_create(
        self, name: bytes, node: Handle, report_id: bytes | None, buffered: bool, data_set: bytes, conf_rev: int,
        triggers: int, options: int, buffer_time_ms: int, integrity_period_ms: int, /,
    ) -> Handle | None: ...  # fmt: skip

    # values
    @c(P, S)
    def MmsValue_newVisibleString(self, text: bytes, /) -> Handle | None: ...
    @c(P, I32)
    def MmsValue_newIntegerFromInt32(self, number: int, /) -> Handle | None: ...
    @c(P, I64)
    def MmsValue_newIntegerFromInt64(self, number: int, /) -> Handle | None: ...
    @c(P, U32)
    def MmsValue_newUnsignedFromUint32(self, number: int, /) -> Handle | None: ...
    @c(P, F)
    def MmsValue_newFloat(self, number: float, /) -> Handle | None: ...
    @c(P, B)
    def MmsValue_newBoolean(self, value: bool, /) -> Handle | None: ...
    @c(None, P)
    def MmsValue_delete(self, value: Handle, /) -> None: ...
    @c(N, P)
    def MmsValue_getType(self, value: Handle, /) -> int: ...
    @c(B, P)
    def MmsValue_getBoolean(self, value: Handle, /) -> bool: ...
    @c(F, P)
    def MmsValue_toFloat(self, value: Handle, /) -> float: ...
    @c(P, P, N)
    def MmsValue_getElement(self, value: Handle, index: int, /) -> Handle | None: ...
    @c(N, P)
    def MmsValue_getArraySize(self, value: Handle, /) -> int: ...
    @c(I64, P)
    def MmsValue_toInt64(self, value: Handle, /) -> int: ...

    # configuration
    @c(P)
    def IedServerConfig_create(self) -> Handle | None: ...
    @c(None, P)
    def IedServerConfig_destroy(self, config: Handle, /) -> None: ...
    @c(None, P, U8)
    def IedServerConfig_setEdition(self, config: Handle, edition: int, /) -> None: ...
    @c(None, P, N)
    def IedServerConfig_setMaxMmsConnections(self, config: Handle, count: int, /) -> None: ...
    @c(None, P, N)
    def IedServerConfig_setReportBufferSize(self, config: Handle, size_bytes: int, /) -> None: ...
    @c(None, P, N)
    def IedServerConfig_setReportBufferSizeForURCBs(self, config: Handle, size_bytes: int, /) -> None: ...
    @c(None, P, B)
    def IedServerConfig_enableFileService(self, config: Handle, on: bool, /) -> None: ...
    @c(None, P, B)
    def IedServerConfig_enableDynamicDataSetService(self, config: Handle, on: bool, /) -> None: ...
    @c(None, P, B)
    def IedServerConfig_enableLogService(self, config: Handle, on: bool, /) -> None: ...

    @c(None, P, U8, B)
    def IedServerConfig_setReportSetting(self, config: Handle, setting: int, dynamic: bool, /) -> None: ...

    # server
    @c(P, P, P, P)
    def IedServer_createWithConfig(self, model: Handle, tls: Handle | None, config: Handle, /) -> Handle | None: ...
    @c(None, P, S)
    def IedServer_setLocalIpAddress(self, server: Handle, address: bytes, /) -> None: ...
    @c(None, P, S, S, S)
    def IedServer_setServerIdentity(self, server: Handle, vendor: bytes, model: bytes, revision: bytes, /) -> None: ...
    @c(None, P, N)
    def IedServer_start(self, server: Handle, port: int, /) -> None: ...
    @c(B, P)
    def IedServer_isRunning(self, server: Handle, /) -> bool: ...
    @c(None, P)
    def IedServer_stop(self, server: Handle, /) -> None: ...
    @c(None, P)
    def IedServer_destroy(self, server: Handle, /) -> None: ...
    @c(N, P)
    def IedServer_getNumberOfOpenConnections(self, server: Handle, /) -> int: ...

    # updates: 0.5 us each through ctypes, so called directly and without a wrapper
    @c(None, P)
    def IedServer_lockDataModel(self, server: Handle, /) -> None: ...
    @c(None, P)
    def IedServer_unlockDataModel(self, server: Handle, /) -> None: ...
    @c(None, P, P, F)
    def IedServer_updateFloatAttributeValue(self, server: Handle, leaf: Handle, value: float, /) -> None: ...
    @c(None, P, P, I32)
    def IedServer_updateInt32AttributeValue(self, server: Handle, leaf: Handle, value: int, /) -> None: ...
    @c(None, P, P, U32)
    def IedServer_updateUnsignedAttributeValue(self, server: Handle, leaf: Handle, value: int, /) -> None: ...
    @c(None, P, P, I64)
    def IedServer_updateInt64AttributeValue(self, server: Handle, leaf: Handle, value: int, /) -> None: ...
    @c(None, P, P, B)
    def IedServer_updateBooleanAttributeValue(self, server: Handle, leaf: Handle, value: bool, /) -> None: ...
    @c(None, P, P, S)
    def IedServer_updateVisibleStringAttributeValue(self, server: Handle, leaf: Handle, text: bytes, /) -> None: ...
    @c(None, P, P, U16)
    def IedServer_updateQuality(self, server: Handle, leaf: Handle, bits: int, /) -> None: ...
    @c(None, P, P, STAMP)
    def IedServer_updateTimestampAttributeValue(self, server: Handle, leaf: Handle, stamp: bytes, /) -> None: ...

    # The value itself, for what no report block looks for; under the lock of the data model like the functions above.
    @c(P, P, P)
    def IedServer_getAttributeValue(self, server: Handle, leaf: Handle, /) -> Handle | None: ...
    @c(None, P, F)
    def MmsValue_setFloat(self, value: Handle, number: float, /) -> None: ...
    @c(None, P, B)
    def MmsValue_setBoolean(self, value: Handle, on: bool, /) -> None: ...
    @c(None, P, I32)
    def MmsValue_setInt32(self, value: Handle, number: int, /) -> None: ...
    @c(None, P, I64)
    def MmsValue_setInt64(self, value: Handle, number: int, /) -> None: ...
    @c(None, P, U32)
    def MmsValue_setUint32(self, value: Handle, number: int, /) -> None: ...
    @c(None, P, S)
    def MmsValue_setVisibleString(self, value: Handle, text: bytes, /) -> None: ...
    @c(None, P, U32)
    def MmsValue_setBitStringFromInteger(self, value: Handle, bits: int, /) -> None: ...

    # report blocks
    @c(None, P, ReportBlockHandler, P)
    def IedServer_setRCBEventHandler(self, server: Handle, handler: Callback, parameter: None, /) -> None: ...
    @c(N, P)
    def ReportControlBlock_getTrgOps(self, block: Handle, /) -> int: ...
    @c(B, P)
    def ReportControlBlock_isBuffered(self, block: Handle, /) -> bool: ...

    # controls
    @c(None, P, P, ControlHandler, P)
    def IedServer_setControlHandler(
        self, server: Handle, object_: Handle, handler: Callback, parameter: None, /
    ) -> None: ...
    @c(None, P, P, CheckHandler, P)
    def IedServer_setPerformCheckHandler(
        self, server: Handle, object_: Handle, handler: Callback, parameter: None, /
    ) -> None: ...
    @c(N, P)
    def ControlAction_getOrCat(self, action: Handle, /) -> int: ...
    @c(N, P)
    def ControlAction_getCtlNum(self, action: Handle, /) -> int: ...
    @c(B, P)
    def ControlAction_isSelect(self, action: Handle, /) -> bool: ...
    @c(P, P)
    def ControlAction_getClientConnection(self, action: Handle, /) -> Handle | None: ...
    @c(None, P, N)
    def ControlAction_setAddCause(self, action: Handle, cause: int, /) -> None: ...
    @c(S, P)
    def ClientConnection_getPeerAddress(self, connection: Handle, /) -> bytes | None: ...
    @c(None, P, ConnectionHandler, P)
    def IedServer_setConnectionIndicationHandler(
        self, server: Handle, handler: Callback, parameter: None, /
    ) -> None: ...

    # access
    @c(None, P, Authenticator, P)
    def IedServer_setAuthenticator(self, server: Handle, handler: Callback, parameter: None, /) -> None: ...
    @c(N, P)
    def AcseAuthenticationParameter_getAuthMechanism(self, parameter: Handle, /) -> int: ...
    @c(P, P)
    def AcseAuthenticationParameter_getPassword(self, parameter: Handle, /) -> Handle | None: ...
    @c(N, P)
    def AcseAuthenticationParameter_getPasswordLength(self, parameter: Handle, /) -> int: ...


def load() -> Functions:
    """
    Open the library inside the wheel `pyiec61850-ng` (without importing its SWIG module) and declare every function.

    Raises: LibraryError when it is absent, of another version, or lacks a function of the table.
    """
    spec = importlib.util.find_spec("pyiec61850")
    if spec is None or spec.origin is None:
        raise LibraryError("the wheel pyiec61850-ng is not installed")
    folder = Path(spec.origin).parent.parent / "pyiec61850_ng.libs"
    found = sorted(folder.glob("libiec61850*.so*"))
    if len(found) != 1:
        raise LibraryError(f"expected one libiec61850 beside the wheel, found {len(found)}")
    library = ctypes.CDLL(str(found[0]))
    table: dict[str, object] = {}
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name, None)
        if function is None:
            raise LibraryError(f"libiec61850 lacks {name}")
        function.restype, function.argtypes = result, arguments
        table[name] = function
    functions = cast(Functions, SimpleNamespace(**table))
    version = functions.LibIEC61850_getVersionString().decode()
    if version != VERSION:
        raise LibraryError(f"expected libiec61850 {VERSION}, got {version}")
    return functions


def give_back_memory() -> None:
    """Return to the system what was only needed to read the model; 50 MB of 160 at 100 meters x 80 points."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def made(handle: Handle | None, what: str) -> Handle:
    """Return the handle. Raises: LibraryError for a null one."""
    if not handle:
        raise LibraryError(f"libiec61850 could not make {what}")
    return handle


def fail_closed(
    prototype: Any, denial: int | None, function: Callable[..., int | None], report: Callable[[BaseException], None]
) -> Callback:
    """
    Wrap a Python function for C: whatever goes wrong, the library gets `denial` and `report` the exception.

    A result that is no int where one is expected counts as wrong. The caller keeps the returned object alive as long as
    the server.
    """

    def call(*arguments: Any) -> int | None:
        try:
            result = function(*arguments)
            if denial is not None and not isinstance(result, int):
                raise TypeError(f"a callback returned {type(result).__name__}")
        except BaseException as error:  # noqa: BLE001 - anything that escapes here would be ignored, and so allow
            with contextlib.suppress(BaseException):
                report(error)
            return denial
        return result

    return prototype(call)


def octets(address: Handle | None, length: int, limit: int) -> bytes:
    """Copy `length` bytes of C memory. Raises: LibraryError beyond `limit`."""
    if not address or not 0 <= length <= limit:
        raise LibraryError(f"{length} octets, limit {limit}")
    return ctypes.string_at(address, length)
