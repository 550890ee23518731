"""HTTP/1.1 as the sample reads it."""

import asyncio

import pytest

from samples.app import http1


def reader(data: bytes, *, ends: bool = True) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    if ends:
        stream.feed_eof()
    return stream


async def test_head_and_body_by_length() -> None:
    stream = reader(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcrest")
    head = await http1.read_head(stream)
    assert head is not None
    assert (head.start, head.get("HOST")) == ("POST /a HTTP/1.1", "h")
    assert await http1.read_body(stream, head, until_close=False) == b"abc"


async def test_chunks_with_extensions_and_trailers() -> None:
    stream = reader(b"2;x=1\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\nrest")
    head = http1.Head("HTTP/1.1 200 OK", (("Transfer-Encoding", "chunked"),))
    assert await http1.read_body(stream, head, until_close=False) == b"abc"
    assert await stream.read() == b"rest"


async def test_a_closed_connection_before_the_first_byte_is_the_end() -> None:
    assert await http1.read_head(reader(b"")) is None


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost", b"X" * 70000])
async def test_a_cut_or_endless_head_is_an_error(data: bytes) -> None:
    with pytest.raises(http1.ProtocolError):
        await http1.read_head(reader(data))


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ((("Content-Length", "5"),), b"abc"),
        ((("Content-Length", "-1"),), b""),
        ((("Transfer-Encoding", "chunked"),), b"zz\r\n"),
        ((("Transfer-Encoding", "chunked"),), b"5\r\nab"),
    ],
)
async def test_a_cut_or_wrong_body_is_an_error(fields: tuple[tuple[str, str], ...], data: bytes) -> None:
    with pytest.raises(http1.ProtocolError):
        await http1.read_body(reader(data), http1.Head("POST / HTTP/1.1", fields), until_close=False)


def test_urls() -> None:
    assert http1.parse_url("http://h:81/a?b=c") == http1.Address("h", 81, "h:81", "/a?b=c")
    assert http1.parse_url("http://h") == http1.Address("h", 80, "h", "/")
    with pytest.raises(ValueError, match="takes http"):
        http1.parse_url("https://h")
