"""Long streams: an end in order is told from one that breaks."""

import asyncio

from samples.app.hold import Record, hold_tcp
from samples.app.tcp import TcpServer

EVERY_SECONDS = 0.01


async def held(server: asyncio.Server, ending: asyncio.Task[None], stop: asyncio.Event) -> Record:
    """Hold streams to *server*, told to stop when *ending* is done."""
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    ending.add_done_callback(lambda _: stop.set())
    async with asyncio.timeout(30):
        return await hold_tcp(address, EVERY_SECONDS, stop)


async def test_a_server_that_says_goodbye_ends_a_stream_in_order() -> None:
    echo, stop = TcpServer(), asyncio.Event()
    heard = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        await echo.serve(reader, writer)

    async def end() -> None:
        await heard.wait()
        await echo.end(10)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        record = await held(server, asyncio.create_task(end()), stop)
    assert record.ended >= 1
    assert record.failures == []


async def test_a_reset_is_a_failure() -> None:
    stop, heard = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()
        heard.set()

    async def end() -> None:
        await heard.wait()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        record = await held(server, asyncio.create_task(end()), stop)
    assert len(record.failures) + record.ended == record.streams
    assert record.messages == 0


async def test_half_a_line_is_a_failure() -> None:
    stop, heard = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(line[:-1])
        writer.close()
        heard.set()

    async def end() -> None:
        await heard.wait()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        record = await held(server, asyncio.create_task(end()), stop)
    assert "ValueError" in record.failures[0]
