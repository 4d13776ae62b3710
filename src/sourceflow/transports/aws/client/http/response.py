"""Reads HTTP/1.1 answers as they come in, piece by piece (RFC 9112)."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

__all__ = ("Answer", "AnswerReader", "BadAnswerError")

MAX_HEAD: Final = 64 * 1024
"""Bytes of status line and headers that are read at most."""

MAX_BODY: Final = 32 * 1024 * 1024
"""Bytes of a body that are read at most: ten messages of 1 MiB, with every character escaped, fit."""

_HEAD_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"
_NO_CONTENT: Final = frozenset({204, 304})


class BadAnswerError(Exception):
    """What came is no HTTP/1.1 answer, or not a whole one."""


class Answer(NamedTuple):
    """A whole answer.

    Attributes:
        status: The status code.
        headers: By name in lower case; of a header that comes twice, the values joined by a comma.
        body: The body, without transfer coding.
        keeps_alive: Whether the connection may carry another request.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    keeps_alive: bool


class _Framing(Enum):
    """How the end of a body is known (RFC 9112, section 6.3)."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class AnswerReader:
    """Reads one answer.

    Invariant: what was fed in makes the same answer however it was cut into pieces. Nothing behind
    the end of the answer is read as part of it: then the connection does not keep alive.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_framing",
        "_headers",
        "_keeps_alive",
        "_left",
        "_scanned",
        "_status",
    )

    def __init__(self) -> None:
        self._buffer = b""
        self._scanned = 0
        self._status = 0
        self._headers: dict[str, str] = {}
        self._framing = _Framing.LENGTH
        self._left = 0
        self._keeps_alive = True
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> Answer | None:
        """Take what came in; return the answer when it is whole.

        Raises:
            BadAnswerError: It is none.
        """
        if self._status and self._framing is not _Framing.CHUNKED:
            return self._take_body(data)
        self._buffer = self._buffer + data if self._buffer else data
        if not self._status and not self._read_head():
            return None
        if self._framing is _Framing.CHUNKED:
            return self._by_chunks()
        data, self._buffer = self._buffer, b""
        return self._take_body(data)

    def end(self) -> Answer:
        """Take the end of the connection; return the answer if that was its end.

        Raises:
            BadAnswerError: It broke off.
        """
        if self._status and self._framing is _Framing.CLOSE:
            return self._whole(behind=False)
        raise BadAnswerError("the connection was closed before the whole answer had come")

    def _read_head(self) -> bool:
        """Read status line and headers; informational answers (1xx) before it are skipped."""
        while True:
            end = self._buffer.find(_HEAD_END, self._scanned)
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    raise BadAnswerError(f"its head is longer than {MAX_HEAD} bytes")
                self._scanned = max(0, len(self._buffer) - len(_HEAD_END) + 1)
                return False
            head, self._buffer = self._buffer[:end], self._buffer[end + len(_HEAD_END) :]
            self._scanned = 0
            status = self._parse_head(head)
            if status >= 200:  # noqa: PLR2004 - below are informational answers
                self._status = status
                self._choose_framing()
                return True
            if status == 101:  # noqa: PLR2004 - nobody asked to switch protocols
                raise BadAnswerError("it switches protocols")

    def _parse_head(self, head: bytes) -> int:
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        code = rest[:3]
        if (
            version not in {"HTTP/1.1", "HTTP/1.0"}
            or not (len(code) == 3 and code.isascii() and code.isdigit())  # noqa: PLR2004
            or rest[3:4].strip()
        ):
            raise BadAnswerError("it does not begin like an answer of HTTP/1.1")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadAnswerError("one of its headers is none")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self._headers = headers
        connection = headers.get("connection", "").lower()
        self._keeps_alive = version == "HTTP/1.1" and "close" not in connection
        return int(code)

    def _choose_framing(self) -> None:
        coding = self._headers.get("transfer-encoding")
        length = self._headers.get("content-length")
        if self._status in _NO_CONTENT:
            self._framing, self._left = _Framing.LENGTH, 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise BadAnswerError("its transfer coding is unknown")
            if length is not None:  # might be read otherwise by somebody in between
                self._keeps_alive = False
            self._framing, self._left = _Framing.CHUNKED, -1
        elif length is None:
            self._framing, self._keeps_alive = _Framing.CLOSE, False
        else:
            self._framing, self._left = _Framing.LENGTH, _length(length)
            self._check_size(self._left)

    def _take_body(self, data: bytes) -> Answer | None:
        """Keep a piece of a body; pieces are joined once, for a body of 10 MiB comes in hundreds of them."""
        if self._framing is _Framing.CLOSE:
            self._left += len(data)
            self._check_size(self._left)
            self._body.append(data)
            return None
        have = len(data)
        if have < self._left:
            self._left -= have
            self._body.append(data)
            return None
        self._body.append(data if have == self._left else data[: self._left])
        return self._whole(behind=have > self._left)

    def _by_chunks(self) -> Answer | None:
        """Read chunks (RFC 9112, section 7.1): -1 is left before a size, -2 behind the last chunk."""
        while True:
            if self._left >= 0:
                if len(self._buffer) < self._left + len(_LINE_END):
                    return None
                if not self._buffer.startswith(_LINE_END, self._left):
                    raise BadAnswerError("a chunk does not end where it should")
                self._body.append(self._buffer[: self._left])
                self._buffer = self._buffer[self._left + len(_LINE_END) :]
                self._left = -1
            line, found, rest = self._buffer.partition(_LINE_END)
            if not found:
                if len(self._buffer) > MAX_HEAD:
                    raise BadAnswerError("a line between its chunks is too long")
                return None
            self._buffer = rest
            if self._left == -1:
                self._left = _chunk_size(line) or -2
                self._check_size(sum(map(len, self._body)) + max(0, self._left))
            elif not line:  # trailers, which nobody asked for, end with an empty line
                return self._whole(behind=bool(rest))

    def _whole(self, *, behind: bool) -> Answer:
        keeps_alive = self._keeps_alive and not behind
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        return Answer(self._status, self._headers, body, keeps_alive)

    @staticmethod
    def _check_size(size: int) -> None:
        if size > MAX_BODY:
            raise BadAnswerError(f"its body is longer than {MAX_BODY} bytes")


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadAnswerError("its content length is no number")
    return int(text)


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip()
    if not size or len(size) > 8 or not all(each in b"0123456789abcdefABCDEF" for each in size):  # noqa: PLR2004
        raise BadAnswerError("the size of a chunk is no number")
    return int(size, 16)
