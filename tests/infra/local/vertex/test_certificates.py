"""The certificate of dedicated endpoints, and whom a shell trusts beside it."""

import ssl
from pathlib import Path

from infra.local.vertex import certificates


def test_a_certificate_is_made_once_and_made_anew_when_it_cannot_be_read(tmp_path: Path):
    certificate, key = certificates.ensure(tmp_path)
    first = certificate.read_bytes()
    assert certificates.ensure(tmp_path) == (certificate, key)
    assert certificate.read_bytes() == first
    certificate.write_text("no certificate")
    certificates.ensure(tmp_path)
    assert certificate.read_bytes() not in (first, b"no certificate")
    assert key.stat().st_mode & 0o077 == 0, "nobody else reads the key"
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)


def test_a_bundle_keeps_whom_the_shell_trusted_however_often_it_is_made(tmp_path: Path):
    own, _ = certificates.ensure(tmp_path / "another")
    bundle = certificates.bundle(tmp_path, own)
    first = bundle.read_text()
    assert own.read_text().strip() in first
    assert first.count("BEGIN CERTIFICATE") == 2
    assert certificates.bundle(tmp_path, bundle).read_text() == first


def test_without_a_bundle_of_the_shell_s_the_usual_authorities_are_trusted(tmp_path: Path):
    assert certificates.bundle(tmp_path, None).read_text().count("BEGIN CERTIFICATE") > 50
