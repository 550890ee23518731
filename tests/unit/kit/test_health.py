"""Probes get 200 or 503 and the reason."""

import asyncio
import json

import pytest

from mesh.kit.health import HealthServer


async def get(port: int, request: bytes) -> tuple[int, dict[str, object]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_ready_names_what_is_missing() -> None:
    """503 with every failing check by name, then 200 once nothing is missing."""
    missing = {"svid": "no certificate yet", "bus": ""}
    server = HealthServer(0, {"svid": lambda: missing["svid"], "bus": lambda: missing["bus"]}, host="127.0.0.1")
    async with server:
        request = b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"
        assert await get(server.port, request) == (503, {"ok": False, "failing": {"svid": "no certificate yet"}})
        missing["svid"] = ""
        assert await get(server.port, request) == (200, {"ok": True, "failing": {}})


@pytest.mark.parametrize(("line", "status"), [("GET /live", 200), ("GET /other", 404), ("POST /live", 405)])
async def test_paths_and_methods(line: str, status: int) -> None:
    """Only the two paths exist and only reading is taken."""
    async with HealthServer(0, {}, host="127.0.0.1") as server:
        assert (await get(server.port, f"{line} HTTP/1.1\r\n\r\n".encode()))[0] == status


async def test_rubbish_is_dropped() -> None:
    """A head beyond the limit ends the connection and the server goes on."""
    async with HealthServer(0, {}, host="127.0.0.1") as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"x" * 100_000)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        assert (await get(server.port, b"GET /live HTTP/1.1\r\n\r\n"))[0] == 200
