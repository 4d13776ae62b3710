"""What HTTP/1.1 answers may look like (RFC 9112), and what they may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.transports.aws.client.http.response import (
    MAX_BODY,
    MAX_HEAD,
    AnswerReader,
    BadAnswerError,
)


def read(*pieces, end=False):
    reader = AnswerReader()
    for piece in pieces:
        answer = reader.feed(piece)
        if answer is not None:
            return answer
    return reader.end() if end else None


def test_a_body_of_a_known_length():
    status, headers, body, keeps_alive = read(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: a b\r\n\r\nhello"
    )
    assert (status, body, keeps_alive) == (200, b"hello", True)
    assert headers == {"content-length": "5", "x-one": "a b"}


def test_an_empty_reason_and_an_empty_body():
    assert read(b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n")[::2] == (503, b"")
    assert read(b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n")[::2] == (503, b"")


def test_a_body_in_chunks_with_extensions_and_trailers():
    answer = read(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\nA;ext=1\r\n, world!!!\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    assert (answer.body, answer.keeps_alive) == (b"hello, world!!!", True)


def test_a_body_that_ends_with_the_connection():
    answer = read(b"HTTP/1.1 200 OK\r\n\r\nall ", b"of it", end=True)

    assert (answer.body, answer.keeps_alive) == (b"all of it", False)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_never_has_a_body(status):
    assert read(b"HTTP/1.1 %d X\r\nContent-Length: 7\r\n\r\n" % status).body == b""


def test_informational_answers_are_skipped():
    answer = read(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    assert (answer.status, answer.body, answer.headers) == (200, b"ok", {"content-length": "2"})


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "asked to close"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "an old server"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK", "more came"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "two framings",
        ),
    ],
)
def test_connections_that_must_not_be_used_again(head, why):
    assert read(head).keeps_alive is False, why


def test_a_header_that_comes_twice_is_joined():
    assert (
        read(b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n").headers["a"] == "1, 2"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nspace : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x" * (MAX_HEAD + 1),
        b"HTTP/1.1 200 OK\r\n" + b"x" * MAX_HEAD,
    ],
    ids=lambda data: repr(data[:60]),
)
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(BadAnswerError):
        read(data)


def test_a_body_without_end_is_refused():
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(BadAnswerError, match="longer than"):
        reader.feed(b"x" * (MAX_BODY + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
    ids=repr,
)
def test_an_answer_that_breaks_off_is_none(data):
    with pytest.raises(BadAnswerError, match="before the whole answer"):
        read(data, end=True)


NAMES = st.sampled_from(["X-One", "Date", "x-amzn-RequestId", "Content-Type"])
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@st.composite
def answers(draw):
    """A whole answer as bytes, with what it says."""
    status = draw(st.sampled_from([200, 400, 403, 503]))
    headers = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    body = draw(st.binary(max_size=60))
    head = b"HTTP/1.1 %d X\r\n" % status
    for name, value in headers.items():
        head += f"{name}: {value}\r\n".encode()
    informational = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    if draw(st.booleans()):
        wire = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
        parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part)
        wire = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    return informational + wire, (status, body, {k.lower(): v for k, v in headers.items()})


@given(answers(), st.data())
def test_an_answer_is_the_same_however_it_is_cut_into_pieces(answer, data):
    wire, (status, body, headers) = answer
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    reader = AnswerReader()
    found = [each for each in map(reader.feed, filter(None, pieces)) if each is not None]

    assert len(found) == 1, "it is whole with its last byte, and not before"
    assert (found[0].status, found[0].body, found[0].keeps_alive) == (status, body, True)
    assert headers.items() <= found[0].headers.items()


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_an_answer_or_refused(data, cut):
    reader = AnswerReader()
    for piece in (data[:cut], data[cut:]):
        try:
            if piece and reader.feed(piece) is not None:
                return
        except BadAnswerError:
            return


@pytest.mark.parametrize("length", [b"Content-Length: 3000\r\n", b""])
def test_pieces_of_a_body_are_not_copied_for_each_that_follows(length):
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
    piece = b"x" * 1000
    for _ in range(2):
        assert reader.feed(piece) is None
    assert all(kept is piece for kept in reader._body[-2:])
    assert reader._buffer == b""
    whole = reader.feed(piece) or reader.end()
    assert whole.body == piece * 3
