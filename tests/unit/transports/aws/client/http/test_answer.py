"""Reading answers, whole and in any pieces; refusing what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.transports.aws.client.http import answer as answers
from sourceflow.transports.aws.client.http.answer import AnswerReader, BrokenAnswerError

names = st.from_regex(r"X-[A-Za-z0-9!#-]{1,8}", fullmatch=True)
values = st.from_regex(r"([!-~]([ -~]{0,10}[!-~])?)?", fullmatch=True)
interim = st.lists(
    st.sampled_from(
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"]
    ),
    max_size=2,
)


def differ_without_case(headers):
    """Fields of one name, whatever its case, are joined: RFC 9110, section 5.3."""
    return len({name.lower() for name in headers}) == len(headers)


@st.composite
def written(draw):
    """An answer with its bytes: status, headers, body, keep-alive, whether the connection's end ends it."""
    status = draw(st.sampled_from([200, 204, 304, 400, 403, 500, 503]))
    headers = draw(st.dictionaries(names, values, max_size=4).filter(differ_without_case))
    body = draw(st.binary(max_size=200))
    minor = draw(st.sampled_from([0, 1]))
    connection = draw(st.sampled_from([None, "close", "keep-alive", "Keep-Alive, x", "x, CLOSE"]))
    framings = ["length", "end"] if minor == 0 else ["length", "end", "chunks"]
    framing = "none" if status in {204, 304} else draw(st.sampled_from(framings))
    lines = [f"HTTP/1.{minor} {status} {draw(st.sampled_from(['OK', 'Not so good', '']))}"]
    fields = [f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{headers[name]}" for name in headers]
    if connection:
        fields.append(f"connection: {connection}")
    raw = body
    if framing == "length":
        fields.append(f"content-LENGTH: {len(body)}")
    elif framing == "chunks":
        fields.append("Transfer-Encoding: chunked")
        raw = b""
        cuts = sorted(draw(st.sets(st.integers(1, max(len(body) - 1, 1)), max_size=4)))
        for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            if body[start:end]:
                extension = draw(st.sampled_from([b"", b";a=b", b" ; c"]))
                raw += b"%X%b\r\n%b\r\n" % (end - start, extension, body[start:end])
        raw += draw(st.sampled_from([b"0\r\n\r\n", b"000\r\nTrailer: t\r\n\r\n"]))
    elif framing == "none":
        raw = body = b""
    head = "\r\n".join(lines + draw(st.permutations(fields))) + "\r\n\r\n"
    said = {option.strip().lower() for option in (connection or "").split(",")}
    keep = framing != "end" and "close" not in said and (minor == 1 or "keep-alive" in said)
    data = b"".join(draw(interim)) + head.encode() + raw
    expected = {name.lower(): value for name, value in headers.items()}
    return data, status, expected, body, keep, framing == "end"


@st.composite
def cut(draw, data):
    cuts = draw(st.sets(st.integers(1, max(len(data) - 1, 1)), max_size=12))
    every = draw(st.booleans())
    places = list(range(1, len(data))) if every else sorted(cuts)
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(st.data())
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(data):
    raw, status, headers, body, keep, ends_at_end = data.draw(written())
    reader = AnswerReader()
    *before, last = data.draw(cut(raw))
    for piece in before:
        assert reader.feed(piece) is None
    found = reader.feed(last)
    if ends_at_end:
        assert found is None
        found = reader.end()
    assert (found[0], found[2]) == (status, body)
    assert headers.items() <= found[1].items()
    assert reader.keep_alive == keep
    assert not reader.is_followed


@given(st.data())
def test_an_answer_that_breaks_off_is_never_taken_for_whole(data):
    raw, *_, ends_at_end = data.draw(written())
    if ends_at_end:  # where only the end of the connection ends it, nobody can tell
        raw = raw[: raw.index(b"\r\n\r\n")]
    reader = AnswerReader()
    assert reader.feed(raw[: data.draw(st.integers(0, len(raw) - 1))]) is None
    with pytest.raises(BrokenAnswerError):
        reader.end()


@given(st.data())
def test_bytes_after_an_answer_are_noticed(data):
    raw, *_, ends_at_end = data.draw(written())
    if not ends_at_end:
        reader = AnswerReader()
        assert reader.feed(raw + b"H") is not None
        assert reader.is_followed


@given(st.data())
def test_damage_raises_nothing_but_the_one_error(data):
    raw = bytearray(data.draw(written())[0])
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=5)):
        raw[at] = data.draw(st.integers(0, 255))
    reader = AnswerReader()
    try:
        for piece in data.draw(cut(bytes(raw))):
            if reader.feed(piece) is not None:
                return
        reader.end()
    except BrokenAnswerError:
        pass


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : space before the colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: a\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: a\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNKED + b"g\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0x1\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
        CHUNKED + b"1\nb\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_clear_answer_is_refused(raw):
    with pytest.raises(BrokenAnswerError):
        AnswerReader().feed(raw)


def test_a_length_that_is_said_twice_alike_is_one():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"
    assert AnswerReader().feed(raw)[2] == b"ab"


def test_values_of_one_name_are_joined():
    raw = b"HTTP/1.1 200 OK\r\nVia: a\r\nvia: b\r\nContent-Length: 0\r\n\r\n"
    assert AnswerReader().feed(raw)[1]["via"] == "a, b"


def feed_all(*pieces):
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nA: " + b"a" * answers.MAX_HEAD],
        [b"HTTP/1.1 200 OK\r\nA: " + b"a" * answers.MAX_HEAD + b"\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" * (answers.MAX_HEAD // 20)],
        [CHUNKED, b"1;" + b"a" * answers.MAX_CHUNK_LINE],
        [CHUNKED, b"0\r\nA: " + b"a" * answers.MAX_HEAD],
    ],
)
def test_headers_without_end_are_refused(pieces):
    with pytest.raises(BrokenAnswerError):
        feed_all(*pieces)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\n", b"a" * 60, b"a" * 60],
        [CHUNKED, b"32\r\n" + b"a" * 50 + b"\r\n", b"33\r\n"],
    ],
)
def test_a_body_that_is_too_long_is_refused_before_it_is_kept(pieces, monkeypatch):
    monkeypatch.setattr(answers, "MAX_BODY", 100)
    with pytest.raises(BrokenAnswerError, match="longer than 100 bytes"):
        feed_all(*pieces)
