"""Certificates for tests: made by openssl, for localhost, trusted by nobody."""

from __future__ import annotations

import dataclasses
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


@dataclasses.dataclass(frozen=True)
class Certificates:
    """A key and the certificate that it signed itself, which is its own authority."""

    key: Path
    authority: Path

    def server(self) -> ssl.SSLContext:
        """Context of a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, self.key)
        return context


def make(folder: Path) -> Certificates:
    """Make a key and a certificate, or skip where openssl is missing."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = Certificates(folder / "key.pem", folder / "cert.pem")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *curve, "-keyout", made.key, "-out", made.authority, *names]
    subprocess.run(command, check=True, capture_output=True)
    return made
