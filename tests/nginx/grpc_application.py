"""A gRPC application behind a sidecar, and a caller in another pod; messages are bytes, no .proto is needed."""

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import grpc

from tests.nginx.network import Pod

SERVICE = "mesh.Test"
HEALTH = "grpc.health.v1.Health"
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.so_reuseport", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


class Application:
    """Methods of mesh.Test; what reached them is kept."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.arrived = threading.Semaphore(0)
        self.next_message = threading.Semaphore(0)
        self.hanging = threading.Event()
        self.cancelled = threading.Event()
        self.remaining_seconds = 0.0

    @staticmethod
    def echo(message: bytes, context: grpc.ServicerContext) -> bytes:
        """The message; in the trailers the caller's metadata, as JSON."""
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        context.set_trailing_metadata((("metadata", json.dumps(metadata)), ("raw-bin", b"\0\xff")))
        return message

    @staticmethod
    def fail(message: bytes, context: grpc.ServicerContext) -> bytes:
        """End with the status whose number is the message."""
        context.set_trailing_metadata((("why", "asked"),))
        code = next(code for code in grpc.StatusCode if code.value[0] == int(message))
        context.abort(code, "as asked: 100% ü")
        raise AssertionError

    def hang(self, _: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer when the caller has given up."""
        self.remaining_seconds = context.time_remaining() or 0
        context.add_callback(self.cancelled.set)
        self.hanging.set()
        self.cancelled.wait(60)
        return b""

    def collect(self, messages: Iterable[bytes], _: grpc.ServicerContext) -> bytes:
        """How many messages came; each is seen when it comes."""
        count = 0
        for message in messages:
            self.received.append(message)
            self.arrived.release()
            count += 1
        return str(count).encode()

    def count(self, message: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
        """So many numbers, each after ``next_message``."""
        for number in range(int(message)):
            yield str(number).encode()
            self.next_message.acquire(timeout=30)

    @staticmethod
    def chat(messages: Iterable[bytes], _: grpc.ServicerContext) -> Iterator[bytes]:
        """Each message back at once."""
        yield from messages

    def handlers(self) -> grpc.GenericRpcHandler:
        """By method name."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
                "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
                "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
                "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
                "Count": grpc.unary_stream_rpc_method_handler(self.count),
                "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            },
        )

    def health(self) -> grpc.GenericRpcHandler:
        """The standard's health service, and one more method in it."""
        methods = {"Check": self.echo, "Reset": self.echo}
        handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        return grpc.method_handlers_generic_handler(HEALTH, handlers)


@contextmanager
def serve(pod: Pod, port: int, threads: int = 16) -> Iterator[Application]:
    """Run the application in *pod*."""
    application = Application()
    server = grpc.server(ThreadPoolExecutor(threads), options=OPTIONS)
    server.add_generic_rpc_handlers((application.handlers(), application.health()))
    with pod.inside():
        assert server.add_insecure_port(f"0.0.0.0:{port}") == port
    server.start()
    try:
        yield application
    finally:
        application.cancelled.set()
        server.stop(0).wait(10)


class Caller:
    """Methods of mesh.Test as a caller has them."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.echo = channel.unary_unary(f"/{SERVICE}/Echo")
        self.fail = channel.unary_unary(f"/{SERVICE}/Fail")
        self.hang = channel.unary_unary(f"/{SERVICE}/Hang")
        self.collect = channel.stream_unary(f"/{SERVICE}/Collect")
        self.count = channel.unary_stream(f"/{SERVICE}/Count")
        self.chat = channel.stream_stream(f"/{SERVICE}/Chat")
        self.check = channel.unary_unary(f"/{HEALTH}/Check")
        self.reset = channel.unary_unary(f"/{HEALTH}/Reset")

    def arrived(self) -> dict[str, str]:
        """The metadata that arrived with one call."""
        _, call = self.echo.with_call(b"", timeout=20, wait_for_ready=True)
        metadata: dict[str, str] = json.loads(dict(call.trailing_metadata())["metadata"])
        return metadata


def failure(call: Any, *arguments: Any, **options: Any) -> tuple[grpc.StatusCode, str]:
    """Status and message of a call that must fail."""
    try:
        call(*arguments, timeout=options.pop("timeout", 20), **options)
    except grpc.RpcError as error:
        # What is raised is the call, too; the library's types do not say so.
        ended: Any = error
        return ended.code(), ended.details() or ""
    raise AssertionError("the call went well")


@contextmanager
def calling(pod: Pod, address: str, port: int) -> Iterator[Caller]:
    """A channel of *pod* to *address*.

    The library connects in threads of its own, which are not in the pod: it connects to a relay here, and the relay from the pod.
    """
    with _relay(pod, address, port) as local:
        options = [*OPTIONS, ("grpc.default_authority", f"{address}:{port}")]
        with grpc.insecure_channel(f"127.0.0.1:{local}", options) as channel:
            yield Caller(channel)


@contextmanager
def _relay(pod: Pod, address: str, port: int) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets: list[socket.socket] = []

    def end_all(*ends: socket.socket) -> None:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        end_all(source, target)

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = pod.connect(address, port)
            except OSError:
                return
            far.settimeout(None)
            open_sockets.extend((near, far))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        end_all(*open_sockets)
        for end in open_sockets:
            end.close()
