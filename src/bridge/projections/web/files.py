"""Files to take home: events as CSV and text, exports as an archive. Pure."""

import base64
import csv
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bridge.projections.web.rows import EventRow
from bridge.projections.web.shown import time_text

_HEAD = ("number", "time", "priority", "kind", "device", "event", "user")
# A cell that begins so is a formula to a spreadsheet
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def events_csv(events: Sequence[EventRow]) -> tuple[bytes, str]:
    """Return a CSV file, oldest first, and its media type."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEAD)
    writer.writerows([cell(text) for text in _cells(event)] for event in events)
    return text.getvalue().encode(), "text/csv; charset=utf-8"


def events_txt(events: Sequence[EventRow]) -> tuple[bytes, str]:
    """Return a text file, one event a line, oldest first, and its media type."""
    lines = ["  ".join(cell for cell in _cells(event) if cell).replace("\n", " ") for event in events]
    return "".join(f"{line}\n" for line in lines).encode(), "text/plain; charset=utf-8"


EVENT_FILES: Mapping[str, Callable[[Sequence[EventRow]], tuple[bytes, str]]] = MappingProxyType(
    {"csv": events_csv, "txt": events_txt}
)


def packed(files: Sequence[Mapping[str, str]]) -> bytes:
    """Return a ZIP archive of files with `name` and `text` in Base64."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in files:
            target.writestr(file["name"], base64.b64decode(file["text"]))
    return archive.getvalue()


def _cells(event: EventRow) -> tuple[str, ...]:
    at = time_text(event.time_ns)
    return (str(event.number), at, str(event.priority), event.kind, event.device, event.text, event.user)


def cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; a negative number is none."""
    numeric = text[:1] == "-" and text[1:].replace(".", "", 1).isdigit()
    return f"'{text}" if text.startswith(_FORMULA) and not numeric else text
