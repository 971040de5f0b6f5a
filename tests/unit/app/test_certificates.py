"""bridge.app.certificates"""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.app.certificates import CA, CERTIFICATE, KEY, REQUEST_KEY, TlsError, TlsFolder, check_pair
from tests.support.certificates import Authority

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOW_NS = round(NOW.timestamp() * 1e9)


def folder(tmp_path: Path, now_ns: int = NOW_NS) -> TlsFolder:
    return TlsFolder(tmp_path, now_ns)


def test_init_makes_an_authority_once_and_a_certificate_with_the_names(tmp_path: Path) -> None:
    #
    made = folder(tmp_path)
    first = made.init("tower", ["bridge.example", "192.0.2.1"])
    authority = (made.path / CA).read_bytes()
    second = made.init("tower", ["other.example"])

    assert first.names == ("bridge.example", "192.0.2.1")
    assert second.names == ("other.example",)
    assert (made.path / CA).read_bytes() == authority
    assert first.fingerprint != second.fingerprint
    assert first.days_left == 825
    check_pair(made.path / CERTIFICATE, made.path / KEY, NOW)


def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    made = folder(tmp_path)
    made.init("tower", ["a"])
    made.client("scada")

    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.path.glob("*.key")} == {0o600}


def test_a_request_is_signed_elsewhere_and_installed_with_its_key(tmp_path: Path) -> None:
    made = folder(tmp_path)
    before = made.init("tower", ["bridge.example"])
    request = x509.load_pem_x509_csr(made.request(["bridge.example"]).read_bytes())
    authority, authority_key = _authority(NOW)
    signed = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(authority.subject)
        .public_key(request.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .sign(authority_key, hashes.SHA256())
    )
    chain = tmp_path / "chain.pem"
    chain.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (signed, authority)))
    assert made.show().fingerprint == before.fingerprint

    installed = made.install(chain, None)

    assert installed.days_left == 90
    assert made.show().fingerprint == installed.fingerprint
    assert not (made.path / REQUEST_KEY).exists()


def test_what_a_server_could_not_use_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    made = folder(tmp_path)
    made.init("tower", ["a"])
    kept = (made.path / CERTIFICATE).read_bytes(), (made.path / KEY).read_bytes()
    other = Authority(tmp_path)
    certificate, key = other.issue("one")
    _, wrong_key = other.issue("two")
    for path in (key, wrong_key):
        path.chmod(0o600)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    nonsense.chmod(0o600)
    unrelated = tmp_path / "unrelated.pem"
    unrelated.write_bytes(certificate.read_bytes() + _authority(NOW)[0].public_bytes(serialization.Encoding.PEM))

    for pair, told in (
        ((certificate, wrong_key), "found that of another certificate"),
        ((nonsense, key), "expected certificates in PEM"),
        ((certificate, nonsense), "expected a private key in PEM"),
        ((tmp_path / "none.pem", key), "No such file"),
        ((unrelated, key), "signed by the next"),
    ):
        with pytest.raises(TlsError, match=told):
            made.install(*pair)
    key.chmod(0o644)
    with pytest.raises(TlsError, match="expected mode 0600"):
        made.install(certificate, key)

    assert ((made.path / CERTIFICATE).read_bytes(), (made.path / KEY).read_bytes()) == kept


@pytest.mark.parametrize(("days", "told"), [(900, "one that ended 2028-09-03"), (-10, "one from 2026-05-31 on")])
def test_a_certificate_out_of_time_is_refused(tmp_path: Path, days: int, told: str) -> None:
    made = folder(tmp_path)
    made.init("tower", ["a"])

    with pytest.raises(TlsError, match=told):
        check_pair(made.path / CERTIFICATE, made.path / KEY, NOW + timedelta(days=days))


def _authority(now: datetime) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "company")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=100))
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return built.sign(key, hashes.SHA256()), key
