"""
The interfaces group of MIB-II (RFC 1213) and ifXTable of IF-MIB (RFC 2863), as Linux tells them.

A new interface is seen at the next start. Linux counts no broadcasts, and multicasts of one direction only: the other
columns of these are absent.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.projections.snmp.ber import Oid, Syntax, Value
from bridge.projections.snmp.oidtree import Freshness, Instance, Instances, ObjectType, Table

_INTERFACES: Oid = (1, 3, 6, 1, 2, 1, 2)
# ifXTable and ifTableLastChange of IF-MIB
_MORE: Oid = (1, 3, 6, 1, 2, 1, 31, 1)
_SYS, _DEV = Path("/sys/class/net"), Path("/proc/net/dev")
# ns for which counters are kept: a walk asks for each of them apart
_KEEP_NS = 500_000_000
# Positions in a line of /proc/net/dev
_IN_BYTES, _IN_PACKETS, _IN_ERRORS, _IN_DROPS, _IN_MULTICASTS = 0, 1, 2, 3, 7
_OUT_BYTES, _OUT_PACKETS, _OUT_ERRORS, _OUT_DROPS = 8, 9, 10, 11
_COLUMNS = 16
# ARPHRD_* of if_arp.h -> ianaIfType: ethernetCsmacd, softwareLoopback; all else is other(1)
_TYPES = {1: 6, 772: 24}
_OPER = {"up": 1, "down": 2, "testing": 3, "unknown": 4, "dormant": 5, "notpresent": 6, "lowerlayerdown": 7}
_IFF_UP, _IFF_PROMISCUOUS = 0x1, 0x100
# TruthValue
_TRUE, _FALSE = 1, 2
_ETHERNET = 6
# ifLinkUpDownTrapEnable: the agent tells linkUp of one interface at its start, and no linkDown ever
_DISABLED = 2
# What ifSpeed can tell; beyond it ifHighSpeed does
_MOST_SPEED = 2**32 - 1
_LOOPBACK = 24
# ifSpeed where the driver tells none
_NO_SPEED = 0


@dataclass(frozen=True, slots=True)
class Interface:
    """What stays while the bridge runs. `type`: ianaIfType; `speed`: Mbit/s, 0 where the driver tells none."""

    index: int
    name: str
    type: int
    mtu: int
    speed: int
    address: bytes


def parse_counters(text: str) -> dict[str, list[int]]:
    """Read /proc/net/dev: name -> its 16 counters."""
    found: dict[str, list[int]] = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        numbers = rest.split()
        if colon and len(numbers) >= _COLUMNS and all(number.isdecimal() for number in numbers):
            found[name.strip()] = [int(number) for number in numbers]
    return found


def find_interfaces(folder: Path = _SYS) -> list[Interface]:
    """Return the interfaces of this machine (in a container: of it), empty where there is no sysfs."""
    found: list[Interface] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        index = _number(path / "ifindex")
        if index <= 0:
            continue
        kind = _TYPES.get(_number(path / "type"), 1)
        speed = max(_number(path / "speed"), _NO_SPEED)
        text = _text(path / "address").replace(":", "")
        address = bytes.fromhex(text) if kind != _LOOPBACK and len(text) % 2 == 0 else b""
        found.append(Interface(index, path.name, kind, _number(path / "mtu"), speed, address))
    return sorted(found, key=lambda interface: interface.index)


def reached_through(interfaces: list[Interface], bind: str) -> int:
    """Return the ifIndex to name in linkUp: loopback for a loopback address, else the first other one."""
    loopback = bind.startswith("127.") or bind == "::1"
    return next((i.index for i in interfaces if (i.type == _LOOPBACK) == loopback), 1)


class Interfaces:
    """Loop thread only: reads two small files of the kernel, at most twice a second."""

    def __init__(self, interfaces: list[Interface], monotonic_ns: Callable[[], int], folder: Path = _SYS) -> None:
        self._interfaces, self._monotonic_ns, self._folder = interfaces, monotonic_ns, folder
        self._read_ns = -_KEEP_NS
        self._counters: dict[str, list[int]] = {}

    def tables(self) -> list[Table]:
        number = ObjectType((*_INTERFACES, 1), Syntax.INTEGER32, lambda _: len(self._interfaces))
        rows = Instances([Instance((interface.index,), at) for at, interface in enumerate(self._interfaces)])
        entry = (*_INTERFACES, 2, 1)
        fixed: tuple[tuple[int, Syntax, Callable[[Interface], Value]], ...] = (
            (1, Syntax.INTEGER32, lambda i: i.index),
            (2, Syntax.OCTET_STRING, lambda i: i.name.encode()),
            (3, Syntax.INTEGER32, lambda i: i.type),
            (4, Syntax.INTEGER32, lambda i: i.mtu),
            (5, Syntax.GAUGE32, lambda i: min(i.speed * 1_000_000, _MOST_SPEED)),
            (6, Syntax.OCTET_STRING, lambda i: i.address),
        )
        live: tuple[tuple[int, Syntax, Callable[[Interface], int | None]], ...] = (
            (7, Syntax.INTEGER32, self._admin),
            (8, Syntax.INTEGER32, self._oper),
            (9, Syntax.TIME_TICKS, lambda _: 0),
            (10, Syntax.COUNTER32, self._counter(_IN_BYTES)),
            (11, Syntax.COUNTER32, self._counter(_IN_PACKETS)),
            (13, Syntax.COUNTER32, self._counter(_IN_DROPS)),
            (14, Syntax.COUNTER32, self._counter(_IN_ERRORS)),
            (16, Syntax.COUNTER32, self._counter(_OUT_BYTES)),
            (17, Syntax.COUNTER32, self._counter(_OUT_PACKETS)),
            (19, Syntax.COUNTER32, self._counter(_OUT_DROPS)),
            (20, Syntax.COUNTER32, self._counter(_OUT_ERRORS)),
        )
        columns = [self._column((*entry, arc), syntax, read, Freshness.CACHED) for arc, syntax, read in fixed]
        columns += [self._column((*entry, arc), syntax, read, Freshness.LIVE) for arc, syntax, read in live]
        # rows do not come or go while the agent runs
        last_change = ObjectType((*_MORE, 5), Syntax.TIME_TICKS, lambda _: 0)
        return [Table([number]), Table([last_change]), Table([*columns, *self._more()], rows)]

    def _more(self) -> list[ObjectType]:
        """Return ifXTable: same rows, counters of 64 bits."""
        entry = (*_MORE, 1, 1)
        fixed: tuple[tuple[int, Syntax, Callable[[Interface], Value]], ...] = (
            (1, Syntax.OCTET_STRING, lambda i: i.name.encode()),
            (14, Syntax.INTEGER32, lambda _: _DISABLED),
            (15, Syntax.GAUGE32, lambda i: i.speed),
            (17, Syntax.INTEGER32, lambda i: _TRUE if i.type == _ETHERNET else _FALSE),
            (19, Syntax.TIME_TICKS, lambda _: 0),
        )
        live: tuple[tuple[int, Syntax, Callable[[Interface], Value | None]], ...] = (
            (2, Syntax.COUNTER32, self._counter(_IN_MULTICASTS)),
            (6, Syntax.COUNTER64, self._counter(_IN_BYTES)),
            (7, Syntax.COUNTER64, self._counter(_IN_PACKETS)),
            (8, Syntax.COUNTER64, self._counter(_IN_MULTICASTS)),
            (10, Syntax.COUNTER64, self._counter(_OUT_BYTES)),
            (11, Syntax.COUNTER64, self._counter(_OUT_PACKETS)),
            (16, Syntax.INTEGER32, lambda i: _TRUE if self._flags(i) & _IFF_PROMISCUOUS else _FALSE),
            (18, Syntax.OCTET_STRING, lambda i: _text(self._folder / i.name / "ifalias").encode()[:64]),
        )
        columns = [self._column((*entry, arc), syntax, read, Freshness.CACHED) for arc, syntax, read in fixed]
        return columns + [self._column((*entry, arc), syntax, read, Freshness.LIVE) for arc, syntax, read in live]

    def _column(
        self, oid: Oid, syntax: Syntax, read: Callable[[Interface], Value | None], freshness: Freshness
    ) -> ObjectType:
        return ObjectType(oid, syntax, lambda at: read(self._interfaces[at]), freshness)

    def _counter(self, position: int) -> Callable[[Interface], int | None]:
        def read(interface: Interface) -> int | None:
            now_ns = self._monotonic_ns()
            if now_ns - self._read_ns >= _KEEP_NS:
                self._counters, self._read_ns = parse_counters(_text(_DEV)), now_ns
            numbers = self._counters.get(interface.name)
            return None if numbers is None else numbers[position]

        return read

    def _admin(self, interface: Interface) -> int:
        return 1 if self._flags(interface) & _IFF_UP else 2

    def _flags(self, interface: Interface) -> int:
        text = _text(self._folder / interface.name / "flags").removeprefix("0x")
        return int(text, 16) if text and all(digit in string.hexdigits for digit in text) else 0

    def _oper(self, interface: Interface) -> int:
        state = _text(self._folder / interface.name / "operstate")
        # the loopback's state is always "unknown"
        return _OPER.get(state, 4) if interface.type != _LOOPBACK else self._admin(interface)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        # the interface is gone, or the driver has no such attribute
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.removeprefix("-").isdecimal() else 0
