"""The ctypes layer: the table is complete and callbacks deny when anything goes wrong."""

import ctypes

import pytest

from bridge.projections.iec61850 import lib61850
from bridge.projections.iec61850.lib61850 import LibraryError, fail_closed, load, octets

Prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)


def test_every_function_of_the_table_exists_in_the_pinned_version() -> None:
    assert load().LibIEC61850_getVersionString() == b"1.6.1"


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib61850, "VERSION", "1.6.2")
    with pytest.raises(LibraryError, match=r"expected libiec61850 1\.6\.2, got 1\.6\.1"):
        load()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_callback_that_raises_denies_and_reports(error: type[BaseException]) -> None:
    def broken(_argument: int) -> int:
        raise error

    seen: list[BaseException] = []
    callback = fail_closed(Prototype, 3, broken, seen.append)

    assert callback(1) == 3
    assert isinstance(seen[0], error)


def test_a_callback_with_a_wrong_result_or_signature_or_a_broken_reporter_denies() -> None:
    def report(error: BaseException) -> None:
        raise error

    assert fail_closed(Prototype, 3, lambda argument: None, report)(1) == 3
    assert fail_closed(Prototype, 3, lambda: 1, report)(1) == 3


def test_octets_are_limited() -> None:
    with pytest.raises(LibraryError, match="limit 4"):
        octets(1, 5, 4)
    with pytest.raises(LibraryError, match="limit 4"):
        octets(1, -1, 4)
