"""bridge.commands.chain and audit_files"""

import stat
from pathlib import Path

import pytest

from bridge.commands.audit_files import AuditFiles, records, verify
from bridge.commands.chain import GENESIS, ChainBroken, Fact, seal, unseal

TIME = "2026-01-31T12:00:00.000000Z"


def fact(n: int = 0, **more: object) -> Fact:
    return Fact(kind="command", result="done", target=f"m1.p{n}", new=n, **more)  # type: ignore[arg-type]


def filled(folder: Path, count: int, file_bytes: int = 1_000_000, files: int = 5) -> AuditFiles:
    audit = AuditFiles(folder, file_bytes, files)
    for n in range(count):
        audit.append(fact(n), TIME)
    audit.close()
    return audit


def lines_of(folder: Path) -> list[bytes]:
    return sorted(folder.glob("*.jsonl"))[-1].read_bytes().splitlines(keepends=True)


def put(folder: Path, lines: list[bytes]) -> None:
    sorted(folder.glob("*.jsonl"))[-1].write_bytes(b"".join(lines))


def test_a_record_comes_back_as_it_went() -> None:
    line, digest = seal(fact(7, user="anna", peer="192.0.2.1", old=1.5), 1, TIME, GENESIS)
    record = unseal(line)

    assert (record.n, record.user, record.old, record.new, record.hash) == (1, "anna", 1.5, 7, digest)


@pytest.mark.parametrize("name", ['x","hash":"' + "0" * 64, "a\nb", "\x1b[2J", "\ud800", "é" * 10_000, ""])
def test_what_strangers_call_themselves_breaks_no_line(name: str) -> None:
    line, _ = seal(fact(0, user=name, peer=name, reason=name), 1, TIME, GENESIS)

    assert line.count(b"\n") == 1
    assert len(line) < 16_384
    assert unseal(line).n == 1


def test_one_changed_bit_of_a_line_is_found() -> None:
    # X-14, BARS S6
    line, _ = seal(fact(1), 1, TIME, GENESIS)
    for at in range(len(line) - 1):
        changed = line[:at] + bytes((line[at] ^ 1,)) + line[at + 1 :]

        with pytest.raises(ChainBroken):
            unseal(changed)


def test_a_chain_is_whole_over_restarts_and_files(tmp_path: Path) -> None:
    # BARS S6
    filled(tmp_path, 30, file_bytes=2000, files=100)
    filled(tmp_path, 30, file_bytes=2000, files=100)
    report = verify(tmp_path)

    assert (report.first, report.last, report.fault) == (1, 60, None)
    assert report.files > 3
    assert [record.n for record in records(tmp_path)] == list(range(1, 61))


def test_the_oldest_files_go_and_the_rest_is_still_a_chain(tmp_path: Path) -> None:
    filled(tmp_path, 60, file_bytes=2000, files=3)
    report = verify(tmp_path)

    assert report.files == 3
    assert report.first > 1
    assert (report.last, report.fault) == (60, None)


def test_a_removed_record_is_found(tmp_path: Path) -> None:
    # X-14, BARS S6
    filled(tmp_path, 5)
    lines = lines_of(tmp_path)
    put(tmp_path, lines[:2] + lines[3:])

    assert "record 3 is missing" in str(verify(tmp_path).fault)


def test_an_inserted_record_is_found(tmp_path: Path) -> None:
    filled(tmp_path, 5)
    lines = lines_of(tmp_path)
    forged, _ = seal(fact(99), 4, TIME, unseal(lines[2]).hash)
    put(tmp_path, [*lines[:3], forged, *lines[4:]])

    assert "audit-00000001.jsonl:5" in str(verify(tmp_path).fault)


def test_records_cut_off_at_the_end_are_missed(tmp_path: Path) -> None:
    filled(tmp_path, 5)
    put(tmp_path, lines_of(tmp_path)[:3])

    assert verify(tmp_path).fault == "records up to 5 were written, 3 is the last there is"


def test_a_rewritten_last_record_is_found(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    lines = lines_of(tmp_path)
    forged, _ = seal(fact(99), 3, TIME, unseal(lines[1]).hash)
    put(tmp_path, [*lines[:2], forged])

    assert verify(tmp_path).fault == "record 3 is not the one that was written last"


def test_half_a_line_of_a_power_failure_is_set_aside_and_the_chain_goes_on(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    lines = lines_of(tmp_path)
    put(tmp_path, [*lines, lines[0][:40]])

    audit = filled(tmp_path, 2)

    assert "not whole" in audit.repaired
    assert (verify(tmp_path).fault, verify(tmp_path).last) == (None, 5)
    assert len(list(tmp_path.glob("*.damaged"))) == 1


def test_damage_in_the_newest_file_is_set_aside_whole(tmp_path: Path) -> None:
    filled(tmp_path, 5)
    lines = lines_of(tmp_path)
    put(tmp_path, [*lines[:2], lines[2].replace(b"m1", b"m9"), *lines[3:]])

    audit = AuditFiles(tmp_path, 1_000_000, 5)

    assert "changed" in audit.repaired
    assert audit.last == 2
    assert next(iter(tmp_path.glob("*.damaged"))).read_bytes().count(b"\n") == 5


def test_two_processes_never_write_one_chain(tmp_path: Path) -> None:
    holding = AuditFiles(tmp_path, 1_000_000, 5)
    with pytest.raises(OSError, match="another bridge writes this audit"):
        AuditFiles(tmp_path, 1_000_000, 5)
    holding.close()

    AuditFiles(tmp_path, 1_000_000, 5).close()


def test_files_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    filled(folder, 1)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_an_empty_folder_is_whole(tmp_path: Path) -> None:
    assert verify(tmp_path).fault is None
    assert verify(tmp_path / "none").last == 0
