"""What an http answer holds, with the packing taken off that some servers put on unasked."""

from __future__ import annotations

import http.client
import zlib

from edge_lpr.errors import SourceError

__all__ = ["HttpBody"]

_GZIP, _ZLIB, _BARE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class HttpBody:
    """The content of an answer, as far as it has come; unpacked only as far as it is read.

    Args:
        response: The answer.
        label: What messages call it.

    Raises:
        SourceError: It is packed as nobody asked for and nobody here unpacks.
    """

    def __init__(self, response: http.client.HTTPResponse, label: str) -> None:
        self._response = response
        self._label = label
        self._coding = response.headers.get("Content-Encoding", "").strip().lower()
        if self._coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise SourceError(
                f"{label}: the camera packs what it gives as {self._coding!r}; expected none, gzip or "
                "deflate; turn that off in the camera or what stands before it"
            )
        # "deflate" is zlib's form by the standard, and bare in some servers: the first byte tells.
        self._unpacker = zlib.decompressobj(_GZIP) if self._coding.endswith("gzip") else None
        self._packed = b""

    def read1(self, size: int) -> bytes:
        """Waits for what comes next; returns at most so many bytes of it, and none at the end.

        Raises:
            OSError: Nothing came in time, or the connection broke.
            http.client.HTTPException: The answer was cut short.
            SourceError: It cannot be unpacked.
        """
        if self._coding in ("", "identity"):
            return self._response.read1(size)
        while self._unpacker is None or not self._unpacker.eof:
            if not self._packed:
                self._packed = self._response.read1(size)
            if not self._packed:
                return b"" if self._unpacker is None else self._unpacker.flush()
            if data := self._unpack(size):
                return data
        return b""

    def close(self) -> None:
        """Closes the connection; may be called twice."""
        self._response.close()

    def _unpack(self, size: int) -> bytes:
        if self._unpacker is None:
            self._unpacker = zlib.decompressobj(_ZLIB if self._packed[0] & 0x0F == 8 else _BARE)
        try:
            data = self._unpacker.decompress(self._packed, size)
        except zlib.error as e:
            raise SourceError(
                f"{self._label}: what the camera gives as {self._coding} cannot be unpacked ({e})"
            ) from e
        self._packed = self._unpacker.unconsumed_tail
        return data
