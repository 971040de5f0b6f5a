"""bridge.app.trust"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridge.app.certificates import TlsError
from bridge.app.trust import FOLDER, TrustList
from bridge.projections.opcua.pki import Pki, make_own, thumbprint


def known(folder: Path, *names: str) -> tuple[TrustList, list[bytes]]:
    """A trust list that has turned these away."""
    pki = Pki(folder / FOLDER)
    pki.prepare()
    ders = []
    for name in names:
        other = Pki(folder / name)
        other.prepare()
        make_own(other, f"urn:{name}", name, ("localhost",), datetime(2026, 6, 1, tzinfo=UTC))
        ders.append(other.certificate.read_bytes())
        pki.reject(ders[-1])
    return TrustList(folder), ders


def states(trust: TrustList) -> dict[str, str]:
    return {client.uris[0]: client.state for client in trust.clients()}


def test_a_client_that_was_turned_away_is_let_in_by_the_beginning_of_its_thumbprint(tmp_path: Path) -> None:
    trust, (der, _) = known(tmp_path, "scada", "other")
    spelled = ":".join(thumbprint(der)[at : at + 2] for at in range(0, 20, 2)).upper()
    client = trust.trust(spelled)

    assert (client.subject, client.uris) == ("CN=scada", ("urn:scada",))
    assert states(trust) == {"urn:scada": "trusted", "urn:other": "rejected"}
    assert Pki(tmp_path / FOLDER).is_trusted(der)


def test_a_trusted_client_can_be_turned_away_again(tmp_path: Path) -> None:
    trust, (der,) = known(tmp_path, "scada")
    trust.trust(thumbprint(der))
    trust.distrust(thumbprint(der)[:6])

    assert states(trust) == {"urn:scada": "rejected"}
    assert not Pki(tmp_path / FOLDER).is_trusted(der)


def test_a_certificate_in_a_file_is_added_whether_der_or_pem(tmp_path: Path) -> None:
    trust, (der,) = known(tmp_path, "scada")
    pem = tmp_path / "client.pem"
    pem.write_bytes(x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM))
    added = trust.trust(str(pem))

    assert added.path.read_bytes() == der
    assert Pki(tmp_path / FOLDER).is_trusted(der)


@pytest.mark.parametrize("what", ["", "ffffffffff", "zz"])
def test_what_names_no_client_or_several_changes_nothing(tmp_path: Path, what: str) -> None:
    trust, _ = known(tmp_path, "scada", "other")
    with pytest.raises(TlsError, match="expected one rejected certificate"):
        trust.trust(what)

    assert set(states(trust).values()) == {"rejected"}


@pytest.mark.parametrize("data", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----", b"x" * 20_000])
def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "client.der"
    path.write_bytes(data)

    with pytest.raises(TlsError, match="expected a certificate"):
        TrustList(tmp_path).trust(str(path))


def test_a_site_without_an_opcua_server_has_no_clients(tmp_path: Path) -> None:
    assert TrustList(tmp_path).clients() == []
