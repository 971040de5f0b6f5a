"""bridge.app.revocation"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.app.certificates import CA, TlsError, TlsFolder, load_certificates
from bridge.app.revocation import CRL, CRL_DAYS, begin, check_list, load_list, revoke
from tests.support.certificates import Authority

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_NS = round(NOW.timestamp() * 1e9)


def made(folder: Path) -> TlsFolder:
    folder.mkdir()
    tls = TlsFolder(folder, NOW_NS)
    tls.init("tower", ["a"])
    begin(tls, NOW_NS)
    return tls


def test_the_list_is_empty_at_first_and_grows_by_each_certificate_once(tmp_path: Path) -> None:
    tls = made(tmp_path / "site")
    assert check_list(tls.path / CRL, tls.path / CA, NOW) == 0
    paths = [tls.client(name)[0] for name in ("anna", "bert")]
    for path in (*paths, paths[0]):
        revoke(tls, path, NOW_NS)
    begin(tls, NOW_NS)

    assert check_list(tls.path / CRL, tls.path / CA, NOW) == 2
    serials = {load_certificates(path)[0].serial_number for path in paths}
    assert {entry.serial_number for entry in load_list(tls.path / CRL)} == serials


def test_a_certificate_of_another_authority_is_none_to_revoke(tmp_path: Path) -> None:
    tls = made(tmp_path / "site")
    foreign, _ = Authority(tmp_path).issue("anna")

    with pytest.raises(TlsError, match="expected a certificate of CN=tower authority"):
        revoke(tls, foreign, NOW_NS)
    assert check_list(tls.path / CRL, tls.path / CA, NOW) == 0


def test_a_list_that_a_server_could_not_use_is_told(tmp_path: Path) -> None:
    tls, other = made(tmp_path / "site"), Authority(tmp_path)

    with pytest.raises(TlsError, match="expected a list signed by"):
        check_list(tls.path / CRL, other.file, NOW)
    with pytest.raises(TlsError, match="found one that ended 2036-"):
        check_list(tls.path / CRL, tls.path / CA, NOW + timedelta(days=CRL_DAYS))
    with pytest.raises(TlsError, match="No such file"):
        check_list(tls.path / "none.pem", tls.path / CA, NOW)
