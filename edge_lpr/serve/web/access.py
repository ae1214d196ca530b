"""Who asks, and what he may: the password's sessions, tokens, or anybody on this machine alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edge_lpr.serve.settings import WebSettings
from edge_lpr.serve.web.auth import ScryptHash, is_loopback
from edge_lpr.serve.web.problems import Problem
from edge_lpr.serve.web.sessions import Attempts, Sessions, Tokens

__all__ = ["Access", "Viewer"]

# What proxies say of who asked them. Not all do, so [web] hosts, which is for one, needs a password as well.
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True)
class Viewer:
    """Who asks.

    Attributes:
        name: What logs and corrections call him: a token's name; "page" for one who signed in, "local" for
            one who need not; "" for one who may see the sign-in page alone.
        browser: The id of the browser, which its forms' tokens belong to; "" for a program.
        write: Whether he may change anything.
    """

    name: str
    browser: str = ""
    write: bool = False


class Access:
    """Decides it, by the configuration that holds at the moment."""

    def __init__(self) -> None:
        self.sessions = Sessions()
        self._tokens = Tokens()
        self._attempts = Attempts()

    @staticmethod
    def is_open(web: WebSettings) -> bool:
        """Tells whether nobody has to sign in: this machine alone reaches it, and no more is asked for."""
        return is_loopback(web.listen) and not web.password and not web.tokens

    def viewer(self, web: WebSettings, headers: Mapping[str, str], browser: str, address: str) -> Viewer:
        """Tells who asks; may take some tenths of a second.

        Args:
            web: The configuration.
            headers: Of the request, their names in lower case.
            browser: The browser's id from its cookie, or "".
            address: Where the request comes from.

        Raises:
            Problem: A token is wrong, or too many were; or nobody has to sign in, and it is another machine
                that asks, through a proxy on this one.
        """
        if self.is_open(web):
            if any(name in headers for name in _OF_PROXIES):
                raise Problem(
                    403,
                    "this came through a proxy, which others may reach: set web.password, or a token, to "
                    "what edge-lpr serve --hash prints",
                )
            return Viewer("local", browser, write=True)
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._of_token(web, secret.strip(), address)
        if browser and web.password and self.sessions.is_signed_in(browser, web.password):
            return Viewer("page", browser, write=True)
        return Viewer("", browser)

    def may_go_on(self, web: WebSettings, viewer: Viewer) -> bool:
        """Tells whether one who was let in may look on: he has not signed out, nor lost his token."""
        if viewer.name == "local" or viewer.browser:
            return self.is_open(web) or self.sessions.is_signed_in(viewer.browser, web.password)
        return any(token.name == viewer.name for token in web.tokens)

    def sign_in(self, web: WebSettings, password: str, address: str) -> str | None:
        """Begins a session.

        Returns:
            The browser's new id; None where the password is wrong.

        Raises:
            Problem: Too many were wrong.
        """
        self._begin(address)
        if not web.password or not ScryptHash.parse(web.password).matches(password):
            return None
        self._attempts.succeeded(address)
        return self.sessions.sign_in(web.password, web.session_hours)

    def _of_token(self, web: WebSettings, secret: str, address: str) -> Viewer:
        found = self._tokens.recall(secret, web.tokens)
        if found is None:
            self._begin(address)
            found = self._tokens.find(secret, web.tokens)
            if found is None:
                raise Problem(401, "the token is not known", {"WWW-Authenticate": "Bearer"})
            self._attempts.succeeded(address)
        return Viewer(found.name, "", found.write)

    def _begin(self, address: str) -> None:
        wait = math.ceil(self._attempts.begin(address))
        if wait:
            raise Problem(
                429, f"too many wrong passwords or tokens; try again in {wait} s", {"Retry-After": str(wait)}
            )
