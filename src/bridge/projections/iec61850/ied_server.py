"""
The life of one MMS server of libiec61850: configuration, start order, stop order.

Order that must hold: model, server, handlers, start; then stop, destroy server, destroy model. A process serves one
model; a reload is a new process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from bridge.core.point import PointDef
from bridge.projections.iec61850.access import password_check
from bridge.projections.iec61850.controls import Controls, Desk
from bridge.projections.iec61850.lib61850 import Callback, Functions, Handle, LibraryError, made
from bridge.projections.iec61850.listeners import Listeners, Watched
from bridge.projections.iec61850.native import DynamicModel
from bridge.projections.iec61850.tree import Model
from bridge.projections.iec61850.updates import Updates

# IedServerConfig_setEdition counts from 0: 1 is Edition 2. 2 (Edition 2.1) refuses to enable a BRCB without ResvTms.
EDITION_ORDINAL: Final = 1
# IEC61850_REPORTSETTINGS_DATA_SET of libiec61850.
_SETTING_DATA_SET: Final = 4
LOOPBACK: Final = "127.0.0.1"
# Connections that the library of the wheel takes at most, whatever its settings; one more is accepted and closed.
LIBRARY_CLIENTS: Final = 5


# Bytes that a member of a report takes at most: a text of 255 octets with its quality, time, reason and lengths.
_MEMBER_BYTES: Final = 320
# Of a block whose client is there: what happens while one report is on its way. The library's default is 65,536.
_UNBUFFERED_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class Identity:
    vendor: str
    model: str
    revision: str


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """
    `max_clients`: connections of the library itself, at most LIBRARY_CLIENTS; where it can be, one more than the guard
    lets in, for the probe.
    `report_buffer_bytes` per BRCB. `passwords` empty: no ACSE authentication. `deadbands`: see Updates.
    """

    identity: Identity
    max_clients: int
    report_buffer_bytes: int
    passwords: tuple[bytes, ...] = ()
    deadbands: Mapping[str, float] = field(default_factory=dict)


class IedServer:
    def __init__(
        self, library: Functions, model: Model, points: Mapping[str, PointDef], config: ServerConfig, desk: Desk
    ) -> None:
        """Build everything, open nothing. Raises: LibraryError; nothing stays allocated then."""
        self._library, self._config = library, config
        self._undo: list[Callable[[], None]] = []
        self._keep: list[Callback] = []
        try:
            self.native = DynamicModel(library, model)
            self._undo.append(self.native.close)
            self._handle = self._create()
            self._undo.append(lambda: library.IedServer_destroy(self._handle))
            if config.passwords:
                check = password_check(library, config.passwords, desk.report, desk.wrong_password)
                self._keep.append(check)
                library.IedServer_setAuthenticator(self._handle, check, None)
            self._controls = Controls(library, desk)
            self._controls.install(self._handle, self.native)
            self._listeners = Listeners(library, frozenset(self.native.watched_blocks), desk.report)
            self._listeners.install(self._handle)
            watched = Watched(model)
            self.updates = Updates(
                library, self._handle, self.native, points, self._listeners, watched, config.deadbands, desk.utc_ns,
                desk.report,
            )  # fmt: skip
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def clients(self) -> int:
        return self._library.IedServer_getNumberOfOpenConnections(self._handle)

    @property
    def armed(self) -> int:
        """Report blocks that a client has armed for changes of value beyond those of the CID."""
        return self._listeners.armed

    @property
    def full(self) -> bool:
        """Whether the library would close one more connection at once."""
        return self.clients >= self._config.max_clients

    def start(self, port: int) -> None:
        """Open `port` of the loopback. Raises: LibraryError when it does not listen."""
        self._library.IedServer_start(self._handle, port)
        if not self._library.IedServer_isRunning(self._handle):
            raise LibraryError(f"cannot listen on {LOOPBACK} port {port}")
        self._undo.append(lambda: self._library.IedServer_stop(self._handle))

    def close(self) -> None:
        """Stop and free, in reverse order of construction. A second call does nothing."""
        while self._undo:
            self._undo.pop()()

    def _create(self) -> Handle:
        library, config = self._library, self._config
        options = made(library.IedServerConfig_create(), "IedServerConfig")
        try:
            library.IedServerConfig_setEdition(options, EDITION_ORDINAL)
            library.IedServerConfig_setMaxMmsConnections(options, config.max_clients)
            # the library passes over a report that does not fit, and says nothing
            whole = self.native.members_most * _MEMBER_BYTES
            library.IedServerConfig_setReportBufferSize(options, max(config.report_buffer_bytes, whole))
            library.IedServerConfig_setReportBufferSizeForURCBs(options, max(_UNBUFFERED_BYTES, whole))
            # Any client could otherwise set and delete files, and reach the use-after-free of issue 596.
            library.IedServerConfig_enableFileService(options, False)
            library.IedServerConfig_enableDynamicDataSetService(options, False)
            library.IedServerConfig_enableLogService(options, False)
            # which data set a block reports is for the engineer; `Listeners` relies on it
            library.IedServerConfig_setReportSetting(options, _SETTING_DATA_SET, False)
            server = made(library.IedServer_createWithConfig(self.native.handle, None, options), "IedServer")
        finally:
            library.IedServerConfig_destroy(options)
        identity = config.identity
        library.IedServer_setServerIdentity(
            server, identity.vendor.encode(), identity.model.encode(), identity.revision.encode()
        )
        library.IedServer_setLocalIpAddress(server, LOOPBACK.encode())
        return server
