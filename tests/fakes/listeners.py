"""Listens on ports of both families and tells each caller where it arrived and where it was going.

Run as a program inside a network namespace: ``listeners.py [--patient] PORT...``; prints ``ready`` when all listen.
Patient ones answer when the caller has ended its side.
"""

import asyncio
import json
import socket
import struct
import sys

SO_ORIGINAL_DST = 80


def original(connection: socket.socket) -> list[object]:
    """Destination before the redirection; where it arrived when there was none."""
    try:
        if connection.family == socket.AF_INET6:
            data = connection.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
            return [socket.inet_ntop(socket.AF_INET6, data[8:24]), struct.unpack("!H", data[2:4])[0]]
        data = connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        return [socket.inet_ntoa(data[4:8]), struct.unpack("!H", data[2:4])[0]]
    except OSError:
        return list(connection.getsockname()[:2])


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One line of JSON per caller."""
    if "--patient" in sys.argv:
        await reader.read()
    connection = writer.get_extra_info("socket")
    port = connection.getsockname()[1]
    writer.write(json.dumps({"arrived": port, "original": original(connection)}).encode() + b"\n")
    writer.close()


async def main(ports: list[int]) -> None:
    """Serve until killed."""
    for port in ports:
        await asyncio.start_server(answer, ["0.0.0.0", "::"], port)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main([int(port) for port in sys.argv[1:] if port.isdigit()]))
