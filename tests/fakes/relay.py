"""A TCP relay that counts what passes: the size of messages as the wire has it, encrypted and framed."""

import asyncio
from types import TracebackType
from typing import Self


class Relay:
    """Listens on 127.0.0.1 and carries every connection to *port* there; ``received`` are the bytes that clients got."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self.received = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where clients connect."""
        assert self._server
        return f"tls://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink, counts in ((reader, back, False), (there, writer, True)):
            task = asyncio.create_task(self._carry(source, sink, counts))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, counts: bool) -> None:
        try:
            while piece := await source.read(1 << 16):
                self.received += len(piece) if counts else 0
                sink.write(piece)
                await sink.drain()
        except OSError:
            pass  # One side broke off; the other learns it by the end.
        finally:
            sink.close()
