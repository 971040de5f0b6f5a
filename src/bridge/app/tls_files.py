"""The TLS files that mappings name: found beside the mapping, and checked before a server stumbles over them."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from bridge.app.certificates import TlsError, check_pair, load_certificates
from bridge.app.faces import Face
from bridge.app.revocation import check_list
from bridge.config.marked import Path as MarkedPath
from bridge.core.errors import ConfigError

log = logging.getLogger("bridge.app")
# Days before its end from which a certificate is complained of
WARN_DAYS = 30


def tls_faults(faces: Iterable[Face], utc_ns: int) -> list[ConfigError]:
    """Return what is wrong with the certificates of every server; one that ends soon is logged."""
    now = datetime.fromtimestamp(utc_ns / 1e9, UTC)
    faults: list[ConfigError] = []
    for face in faces:
        for listener in face.projected.listeners:
            tls = listener.tls
            if tls is None:
                continue
            where: MarkedPath = ("listener", "tls", "certificate")
            try:
                facts = check_pair(Path(tls.certificate), Path(tls.key), now)
                if tls.client_ca:
                    where = ("listener", "tls", "client_ca")
                    load_certificates(Path(tls.client_ca))
                if tls.client_crl:
                    where = ("listener", "tls", "client_crl")
                    if not tls.client_ca:
                        raise TlsError("expected client_ca as well: only its clients have certificates")
                    check_list(Path(tls.client_crl), Path(tls.client_ca), now)
            except TlsError as exc:
                faults.append(face.file.marked.error(where, str(exc)))
                continue
            if facts.days_left < WARN_DAYS:
                log.warning("certificate_ends server=%s days=%d file=%s", face.name, facts.days_left, facts.file)
    return faults
