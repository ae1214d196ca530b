"""Who is signed in, and how often it may be tried."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from edge_lpr.serve.settings import TokenSettings
from edge_lpr.serve.web.auth import ScryptHash

__all__ = ["Attempts", "Sessions", "Tokens"]

_MOST_SESSIONS = 1000
_MOST_ADDRESSES = 10_000
_MOST_KNOWN = 256
_ID = 43  # characters of `secrets.token_urlsafe(32)`


class Sessions:
    """Browsers that are signed in, in memory: a restart signs all out.

    A browser holds a random id; what is kept of it is a digest. The id of one that is not signed in is kept
    nowhere, so that nobody can fill the memory, and has a token against forged forms all the same.

    Args:
        clock: Seconds, by a clock that is never set.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, str]] = OrderedDict()

    @staticmethod
    def new_id() -> str:
        """Returns an id that nobody has."""
        return secrets.token_urlsafe(32)

    @staticmethod
    def may_be_id(text: str) -> bool:
        """Tells whether a cookie's value looks like an id."""
        return len(text) == _ID and text.isascii()

    def sign_in(self, password_hash: str, hours: float) -> str:
        """Begins a session under a new id.

        Args:
            password_hash: The hash that the password matched: once the configuration has another, it is over.
            hours: How long it lasts.

        Returns:
            The id.
        """
        session = self.new_id()
        with self._lock:
            self._known[self._digest(session)] = (self._clock() + hours * 3600, password_hash)
            while len(self._known) > _MOST_SESSIONS:
                self._known.popitem(last=False)
        return session

    def is_signed_in(self, session: str, password_hash: str) -> bool:
        """Tells whether an id is of a session that is not over."""
        digest = self._digest(session)
        with self._lock:
            until, hash_then = self._known.get(digest, (0.0, ""))
            if until and (self._clock() >= until or hash_then != password_hash):
                del self._known[digest]
                return False
            return bool(until)

    def sign_out(self, session: str) -> None:
        """Ends a session; one that is over is no error."""
        with self._lock:
            self._known.pop(self._digest(session), None)

    def csrf_token(self, session: str) -> str:
        """Returns what the forms of a browser hold, which no other site can read."""
        return hmac.new(self._key, b"csrf " + session.encode(), hashlib.sha256).hexdigest()

    def is_csrf_token(self, session: str, token: str) -> bool:
        """Tells whether a form came from a page of ours."""
        return hmac.compare_digest(self.csrf_token(session).encode(), token.encode("utf-8", "replace"))

    def _digest(self, session: str) -> bytes:
        return hmac.new(self._key, session.encode("utf-8", "replace"), hashlib.sha256).digest()


class Attempts:
    """How often sign-in may fail: per address, and overall, as an attacker may have many addresses.

    Args:
        per_address: Failures within `seconds` from one address (IPv6: one /64, which one household has).
        overall: Failures within `seconds` from all.
        seconds: How long a failure counts.
        clock: Seconds, by a clock that is never set.
    """

    def __init__(
        self,
        per_address: int = 8,
        overall: int = 64,
        seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = per_address, overall
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._all: deque[float] = deque(maxlen=overall)
        self._of: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, address: str) -> float:
        """Counts a try as failed before it is made, so that many at once are no way around the limit.

        Returns:
            The seconds to wait before it may be made; 0 where it may.
        """
        now, key = self._clock(), _network(address)
        per_address, overall = self._limits
        with self._lock:
            own = self._of.get(key) or deque[float]()
            ends = [
                times[0] + self._seconds - now
                for times, limit in ((own, per_address), (self._all, overall))
                if len(times) >= limit
            ]
            wait = max([0.0, *ends])
            if not wait:
                self._all.append(now)
                self._of.setdefault(key, deque(maxlen=per_address)).append(now)
                self._of.move_to_end(key)
                while len(self._of) > _MOST_ADDRESSES:
                    self._of.popitem(last=False)
        return wait

    def succeeded(self, address: str) -> None:
        """Takes the last try of an address back: it was right."""
        with self._lock:
            for times in (self._of.get(_network(address)), self._all):
                if times:
                    times.pop()


class Tokens:
    """Programs that may use the interface.

    A token that was right once is known again by a digest under a random key, so that scrypt is not run for
    every request.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def recall(self, secret: str, tokens: Sequence[TokenSettings]) -> TokenSettings | None:
        """Returns whose token it is, if it was found before; at once."""
        with self._lock:
            found = self._known.get(self._digest(secret))
        return next((token for token in tokens if token.hash == found), None)

    def find(self, secret: str, tokens: Sequence[TokenSettings]) -> TokenSettings | None:
        """Returns whose token it is, or None; takes a tenth of a second for each that there is."""
        for token in tokens:
            if ScryptHash.parse(token.hash).matches(secret):
                with self._lock:
                    self._known[self._digest(secret)] = token.hash
                    while len(self._known) > _MOST_KNOWN:
                        self._known.popitem(last=False)
                return token
        return None

    def _digest(self, secret: str) -> bytes:
        return hmac.new(self._key, secret.encode("utf-8", "replace"), hashlib.sha256).digest()


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ipaddress.ip_network((int(ip) >> 64 << 64, 64)).network_address
    return str(ip)
