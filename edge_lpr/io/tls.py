"""TLS as this machine asks others: whose certificates are trusted, and which one it shows itself."""

from __future__ import annotations

import ssl
from pathlib import Path

from edge_lpr.errors import InputError, one_line

__all__ = ["client_context", "load_certificate"]


def client_context(
    where: str = "",
    *,
    any_certificate: bool = False,
    ca: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> ssl.SSLContext:
    """Makes what connections to others are encrypted with.

    Args:
        where: What stands before the message of an error: "outputs.home: ".
        any_certificate: Whether any certificate is good, whoever shows it.
        ca: File of certificates that are trusted; the machine's own, or SSL_CERT_FILE's, by default.
        certificate: File of the certificate that is shown; none by default.
        key: File of its key; in `certificate` by default.

    Raises:
        InputError: A file is none.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None:
            load_certificate(context, certificate, key)
    except (OSError, ValueError) as e:
        named = ", ".join(str(file) for file in (ca, certificate, key) if file is not None)
        raise InputError(f"{where}{named}: {one_line(e)}; expected PEM files") from e
    if any_certificate:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Has connections show a certificate.

    Args:
        context: What they are encrypted with.
        certificate: Its file.
        key: That of its key; None where that is in the same.

    Raises:
        OSError: They are none, or do not belong together.
        ValueError: The key has a passphrase. OpenSSL would ask for it at the terminal, and wait for ever.
    """
    was_asked = False

    def passphrase() -> str:
        nonlocal was_asked
        was_asked = True
        return ""

    try:
        context.load_cert_chain(certificate, key, passphrase)
    except (OSError, ValueError) as e:
        if was_asked:
            raise ValueError(
                "the key has a passphrase, and nobody is there to type it; write one without: "
                "openssl pkey -in KEY -out NEW"
            ) from e
        raise
