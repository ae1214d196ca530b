"""Asks a camera for what its http or https address gives: user and password, redirections, certificates.

The password goes to the host it was given for and to no other; a redirection leads to http and https alone,
and never from https to http.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import urllib.request
from collections.abc import Callable
from http.client import HTTPMessage
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from edge_lpr._version import __version__
from edge_lpr.errors import SourceError
from edge_lpr.io.tls import client_context

__all__ = ["HttpClient", "NotHttpError", "Response", "UnreachableError"]

Response = http.client.HTTPResponse
_REDIRECTIONS = 5
_HINTS = {401: "; wrong user or password", 403: "; this user may not", 404: "; wrong path"}


class UnreachableError(Exception):
    """Nothing answers, or not in time."""


class NotHttpError(Exception):
    """What answers, or what was asked for, is nothing that Python's library understands."""


class HttpClient:
    """Asks one address again and again.

    Args:
        address: It, with its user and password.
        label: What messages call it.
        timeout: Seconds that an answer may take.
        any_certificate: Whether a camera's certificate need not be one that this machine trusts.
    """

    def __init__(self, address: str, label: str, timeout: float, any_certificate: bool) -> None:
        self._label = label
        self._timeout = timeout
        try:
            self._url, user, password = _split_login(address)
        except ValueError as e:  # a password with signs in it that are not percent-encoded
            raise NotHttpError from e
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if user or password:
            # All paths of the host: one may redirect to another.
            passwords.add_password(None, urljoin(self._url, "/"), user, password)
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=client_context(any_certificate=any_certificate)),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPBasicAuthHandler(passwords),
            _Digest(passwords),
            _Redirections(label),
        ):
            self._opener.add_handler(handler)
        self._opener.addheaders = [("User-Agent", f"edge-lpr/{__version__}"), ("Accept", "*/*")]

    def get(self) -> Response:
        """Asks once.

        Raises:
            UnreachableError: There is no answer.
            NotHttpError: The answer is no HTTP.
            SourceError: The answer is an error, or comes from a machine that is not trusted.
        """
        try:
            response = self._opener.open(self._url, timeout=self._timeout)
        except HTTPError as e:
            e.close()
            hint = _HINTS.get(e.code, "; it leads to where it is not followed" if 300 <= e.code < 400 else "")
            if e.code == 401 and _host(e.url) != _host(self._url):
                hint = "; it redirects to another host or scheme, which gets no password; give that address"
            status = http.client.responses.get(e.code, "an unknown answer")
            raise SourceError(f"{self._label}: the camera answers {e.code} {status}{hint}") from e
        except URLError as e:
            if isinstance(e.reason, ssl.SSLCertVerificationError):
                why = e.reason.verify_message
                raise SourceError(
                    f"{self._label}: its certificate is not trusted ({why}); SSL_CERT_FILE names "
                    "one that is, --any-certificate trusts every one"
                ) from e
            raise UnreachableError from e
        except OSError as e:
            raise UnreachableError from e
        except (http.client.HTTPException, ValueError) as e:
            raise NotHttpError from e
        assert isinstance(response, Response)
        return response


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """Digest, with the SHA-256 that newer cameras ask for and older Pythons do not know."""

    def get_algorithm_impls(self, algorithm: str) -> tuple[Callable[[str], str], Callable[[str, str], str]]:
        if algorithm != "SHA-256":
            return super().get_algorithm_impls(algorithm)

        def digest(text: str) -> str:
            return hashlib.sha256(text.encode()).hexdigest()

        return digest, lambda secret, data: digest(f"{secret}:{data}")


class _Redirections(urllib.request.HTTPRedirectHandler):
    max_redirections = _REDIRECTIONS

    def __init__(self, label: str) -> None:
        self._label = label

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(urljoin(req.full_url, newurl)).scheme.lower()
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            raise SourceError(
                f"{self._label}: redirected from {req.type} to {scheme}; give the address that it leads to"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _host(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _split_login(address: str) -> tuple[str, str, str]:
    """Returns the address without user and password, and those two."""
    parts = urlsplit(address.strip())
    host = parts.netloc.rpartition("@")[2]
    if parts.port == 0 or not parts.hostname:
        raise ValueError(address)
    path, query = (quote(text, safe="%/:=&?~+!$,;'@()*[]|") for text in (parts.path or "/", parts.query))
    url = urlunsplit((parts.scheme.lower(), host, path, query, ""))
    return url, unquote(parts.username or ""), unquote(parts.password or "")
