"""Reading an answer out of the pieces it arrives in."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sourceflow.transports.aws.client.http.port import Answer

__all__ = ("AnswerReader", "BrokenAnswerError")

MAX_HEAD: Final = 64 * 1024
"""Bytes of status line and headers, interim answers included, and of a trailer. AWS sends less than 1 KiB."""

MAX_BODY: Final = 64 * 1024 * 1024
r"""Bytes of a body: ten messages of 1 MiB whose every character is written ``\u0001`` make 60 MiB."""

MAX_CHUNK_LINE: Final = 1024
"""Bytes of the line before a chunk: its size, and extensions that nobody uses."""

_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")

_SWITCHING, _FINAL, _NO_CONTENT, _NOT_MODIFIED = 101, 200, 204, 304


class BrokenAnswerError(ConnectionError):
    """What came is no answer, or more than an answer may be; or it broke off."""


class AnswerReader:
    """Reads one answer to a POST, as RFC 9112 says where it ends.

    It is strict: what could be read in two ways, by us and by somebody between us and AWS, is refused.

    Attributes:
        keep_alive: Whether the server takes another request on the connection; known once the answer is whole.
        is_followed: Whether bytes came after the answer's end, which nobody has asked for.
    """

    __slots__ = (
        "_headers",
        "_held",
        "_interim",
        "_left",
        "_parts",
        "_read",
        "_size",
        "_skipped",
        "_status",
        "is_followed",
        "keep_alive",
    )

    def __init__(self) -> None:
        self.keep_alive = False
        self.is_followed = False
        # A function, not a method bound to self: that would be a cycle, and keep each body until it is collected.
        self._read: Callable[[AnswerReader, bytes], Answer | None] = AnswerReader._read_head
        self._held = b""
        self._interim = 0
        self._status = 0
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._left = self._size = self._skipped = 0

    def feed(self, data: bytes) -> Answer | None:
        """Take the next bytes; return the answer once it is whole.

        Raises:
            BrokenAnswerError: It cannot be read.
        """
        return self._read(self, data)

    def end(self) -> Answer:
        """Take the end of the connection; return the answer if that is where it ends.

        Raises:
            BrokenAnswerError: It is not.
        """
        if self._read is AnswerReader._read_to_end:
            return self._whole()
        if self._read is AnswerReader._read_head and not self._held:
            raise BrokenAnswerError("the server closed the connection before it answered")
        raise BrokenAnswerError("the server closed the connection in the middle of its answer")

    def _read_head(self, data: bytes) -> Answer | None:
        searched = max(len(self._held) - 3, 0)
        data = self._held + data
        while True:
            end = data.find(b"\r\n\r\n", searched)
            if self._interim + (len(data) if end < 0 else end) > MAX_HEAD:
                raise BrokenAnswerError(f"the headers are longer than {MAX_HEAD} bytes")
            if end < 0:
                self._held = data
                return None
            is_newest = self._parse_head(data[:end])
            data = data[end + 4 :]
            if self._status >= _FINAL:
                return self._start_body(data, is_newest=is_newest)
            # An interim answer, such as 100: the one that counts is still to come.
            if self._status == _SWITCHING:
                raise BrokenAnswerError("the server switches to a protocol that nobody asked for")
            self._interim += end
            searched = 0

    def _parse_head(self, head: bytes) -> bool:
        """Read status line and headers; return whether the server speaks HTTP/1.1."""
        first, *lines = head.decode("latin-1").split("\r\n")
        found = _STATUS_LINE.fullmatch(first)
        if found is None:
            raise BrokenAnswerError("what came is no answer in HTTP/1.1")
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or b"\0" in head:
            raise BrokenAnswerError("a header holds a line end or a NUL")
        self._status = int(found[2])
        headers = self._headers = {}
        for line in lines:
            raw, colon, value = line.partition(":")
            name = _field_name(raw)
            if not colon or name is None:
                raise BrokenAnswerError("a header has no name")
            value = value.strip(" \t")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return found[1] == "1"

    def _start_body(self, data: bytes, *, is_newest: bool) -> Answer | None:
        headers = self._headers
        connection = headers.get("connection")
        if connection is None:
            self.keep_alive = is_newest
        else:
            options = {option.strip(" \t") for option in connection.lower().split(",")}
            self.keep_alive = "close" not in options and (is_newest or "keep-alive" in options)
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if self._status in {_NO_CONTENT, _NOT_MODIFIED}:
            return self._whole_with(b"", followed=data)
        if coding is not None:
            if length is not None or coding.lower() != "chunked" or not is_newest:
                raise BrokenAnswerError("the answer does not say clearly where it ends")
            self._held = b""
            return self._go_on(AnswerReader._read_chunks, data)
        if length is None:
            self.keep_alive = False
            self._left = MAX_BODY
            return self._go_on(AnswerReader._read_to_end, data)
        self._left = left = _body_length(length)
        if len(data) >= left:  # most answers come in one piece
            return self._whole_with(data[:left], followed=data[left:])
        return self._go_on(AnswerReader._read_sized, data)

    def _go_on(
        self, read: Callable[[AnswerReader, bytes], Answer | None], data: bytes
    ) -> Answer | None:
        self._read = read
        return read(self, data)

    def _read_sized(self, data: bytes) -> Answer | None:
        self._parts.append(data[: self._left])
        rest = data[self._left :]
        self._left -= len(self._parts[-1])
        return None if self._left else self._whole(followed=rest)

    def _read_to_end(self, data: bytes) -> Answer | None:
        if len(data) > self._left:
            raise _too_long()
        self._left -= len(data)
        self._parts.append(data)
        return None

    def _read_chunks(self, data: bytes) -> Answer | None:
        data, at = self._held + data, 0
        while True:
            piece = data[at : at + self._left]
            if piece:
                self._parts.append(piece)
                self._left -= len(piece)
                at += len(piece)
            # The line end after a chunk is read together with the line before the next.
            start = at + self._skipped
            end = data.find(b"\r\n", start) if not self._left else -1
            if end < 0:
                self._held = data[at:]
                if len(self._held) > MAX_CHUNK_LINE:
                    raise BrokenAnswerError("a chunk of the answer has no size")
                return None
            self._left = _chunk_size(data[at:start], data[start:end])
            if self._left == 0:
                self._held = b""
                return self._go_on(AnswerReader._read_trailer, data[end:])
            self._size += self._left
            if self._size > MAX_BODY:
                raise _too_long()
            self._skipped, at = 2, end + 2

    def _read_trailer(self, data: bytes) -> Answer | None:
        """Skip the headers after the last chunk; ``data`` begins with the line end before them."""
        data = self._held + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > MAX_HEAD:
                raise BrokenAnswerError(f"the trailer is longer than {MAX_HEAD} bytes")
            self._held = data
            return None
        return self._whole(followed=data[end + 4 :])

    def _whole(self, *, followed: bytes = b"") -> Answer:
        return self._whole_with(b"".join(self._parts), followed=followed)

    def _whole_with(self, body: bytes, *, followed: bytes) -> Answer:
        self.is_followed = bool(followed)
        return self._status, self._headers, body


@lru_cache(maxsize=256)
def _field_name(raw: str) -> str | None:
    """Return the name in lower case, or None if it is none. AWS sends a dozen names: each is checked once."""
    return raw.lower() if _NAME.fullmatch(raw) else None


def _body_length(text: str) -> int:
    # The same length said twice is one; servers behind others send that.
    lengths = {length.strip(" \t") for length in text.split(",")}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise BrokenAnswerError("the answer does not say clearly where it ends")
    if int(length) > MAX_BODY:
        raise _too_long()
    return int(length)


def _chunk_size(before: bytes, line: bytes) -> int:
    found = _CHUNK_LINE.fullmatch(line)
    if found is None or before not in {b"", b"\r\n"}:
        raise BrokenAnswerError("a chunk of the answer has no size")
    return int(found[1], 16)


def _too_long() -> BrokenAnswerError:
    return BrokenAnswerError(f"the answer is longer than {MAX_BODY} bytes")
