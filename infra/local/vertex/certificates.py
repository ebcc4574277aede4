"""The certificate of dedicated endpoints, self-signed and made once for a home; the bundle that trusts it."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

DAYS = 365
FRESH_DAYS = 30  # one that ends sooner is made anew
NAMES = ("localhost",)


def ensure(home: Path) -> tuple[Path, Path]:
    """The certificate and its key, in PEM, made unless they are there and good for a while."""
    certificate, key = home / "tls" / "certificate.pem", home / "tls" / "key.pem"
    if not (key.exists() and _is_fresh(certificate)):
        certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = _made()
        for path, content in ((key, made[1]), (certificate, made[0])):
            _write(path, content)
    return certificate, key


def bundle(home: Path, others: Path | None) -> Path:
    """A bundle of the certificate and those of `others`, for REQUESTS_CA_BUNDLE: the world stays trusted.

    Where `others` is this very bundle, it is made of what it was made of before.
    """
    made, kept = home / "tls" / "bundle.pem", home / "tls" / "others.pem"
    if others == made and kept.exists():
        trusted = kept.read_bytes()
    else:
        trusted = others.read_bytes() if others and others != made else _public()
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(kept, trusted)
    _write(made, trusted.rstrip(b"\n") + b"\n" + ensure(home)[0].read_bytes())
    return made


def _public() -> bytes:
    import certifi

    return Path(certifi.where()).read_bytes()


def _write(path: Path, content: bytes) -> None:
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - no path
        file.write(content)
    whole.replace(path)


def _is_fresh(certificate: Path) -> bool:
    from cryptography import x509

    try:
        ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return False
    return ends > datetime.now(UTC) + timedelta(days=FRESH_DAYS)


def _made() -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    # Of two certificates in a bundle with one name, the wrong one may be looked at.
    common = f"local cloud {secrets.token_hex(8)}"
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    alternatives = [x509.DNSName(one) for one in NAMES] + [x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(encoding), private
