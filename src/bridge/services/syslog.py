"""
An event as a syslog message (RFC 5424). Pure.

    <PRI>1 2026-01-01T00:00:00.000001Z tower meterbridge - alarm_start [event@32473 number="7" ...] text

PRI = facility * 8 + severity. Severities are four (A-19, seed 004 l.7280): 2 critical for priorities 192-255, 4 warning
for 128-191, 5 notice for 64-127, 6 informational below. 32473 is the enterprise number for documentation (RFC 5612).
"""

import re
from datetime import UTC, datetime

from bridge.core.alarm import Band, band_of
from bridge.core.event import Event

APP_NAME = "meterbridge"
_SEVERITIES = {Band.HIGH: 2, Band.MEDIUM: 4, Band.LOW: 5, Band.INFO: 6, Band.NONE: 6}
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 5424, 6.2: longest HOSTNAME
_HOSTNAME_MOST = 255
# Octets of a message that every receiver takes (RFC 5424, 6.1)
_MESSAGE_MOST = 2048


def severity_of(priority: int) -> int:
    """Return 2, 4, 5 or 6; no other is used."""
    return _SEVERITIES[band_of(priority)]


def message_of(event: Event, facility: int, hostname: str) -> bytes:
    """Return the message, at most 2,048 octets."""
    stamp = datetime.fromtimestamp(event.time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    micros = event.time_ns // 1000 % 1_000_000
    facts = {"number": str(event.number), "priority": str(event.priority), "device": event.device, "user": event.user}
    data = " ".join(f'{name}="{_escaped(value)}"' for name, value in facts.items() if value)
    head = (
        f"<{facility * 8 + severity_of(event.priority)}>1 {stamp}.{micros:06}Z {header(hostname)} {APP_NAME} - "
        f"{event.kind.value} [event@32473 {data}] "
    )
    text = _CONTROL.sub(" ", event.text)
    # a text beyond ASCII announces itself as UTF-8
    body = text.encode() if text.isascii() else b"\xef\xbb\xbf" + text.encode("utf-8", "replace")
    room = _MESSAGE_MOST - len(head.encode("utf-8", "replace"))
    return head.encode("utf-8", "replace") + _cut(body, room)


def framed(message: bytes) -> bytes:
    """Return a message for a stream: its length in octets before it (RFC 6587, 3.4.1; RFC 5425, 4.3)."""
    return b"%d %s" % (len(message), message)


def header(word: str) -> str:
    """Return a word as a header field: printable ASCII without spaces, "-" for none."""
    return _NOT_PRINTABLE.sub("_", word)[:_HOSTNAME_MOST] or "-"


def _escaped(value: str) -> str:
    cleaned = _CONTROL.sub(" ", value)[:_HOSTNAME_MOST]
    return cleaned.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _cut(body: bytes, room: int) -> bytes:
    """Return the first octets, no character torn."""
    return body if len(body) <= room else body[:room].decode("utf-8", "ignore").encode()
