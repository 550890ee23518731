"""What both plug-ins share: a gRPC server on a free loopback port, announced to the engine, that ends with the engine."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent import futures

import grpc

_LARGEST_MESSAGE = 400 << 20
OPTIONS = [
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
]


def serve(register: Callable[[grpc.Server], None], *, threads: int, closing: Callable[[], None] = lambda: None) -> None:
    """Serve until the engine goes away. ``closing`` runs before the process ends.

    The engine reads the port from the first line of stdout, and holds our stdin: its end is the engine's end, also when
    the engine was killed.
    """
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=threads), options=OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    threading.Thread(target=_leave_with_engine, args=(closing,), daemon=True).start()
    # The engine interrupts a plug-in that it no longer needs, and a terminal's Ctrl-C does not reach this process group.
    signal.signal(signal.SIGINT, lambda _number, _frame: _leave(closing))
    signal.signal(signal.SIGTERM, lambda _number, _frame: _leave(closing))
    server.wait_for_termination()


def _leave_with_engine(closing: Callable[[], None]) -> None:
    while os.read(0, 4096):
        pass
    _leave(closing)


def _leave(closing: Callable[[], None]) -> None:
    """End now: requests may hang in other threads, and nothing is left that could use their answers."""
    closing()
    os._exit(0)


def engine_address(arguments: list[str]) -> str:
    """The engine's own address: the last argument."""
    return arguments[-1] if len(arguments) > 1 else ""
