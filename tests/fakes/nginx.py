"""A stand-in for the nginx binary, for tests of the agent alone: processes, files and control socket behave alike.

``nginx.py -e stderr -c <directory>/nginx.conf`` becomes a master with one worker, as nginx with ``daemon off`` does. The
worker answers the control socket by the rules of docs/reference/nginx-state.md as far as the agent can see them. What
NGINX does with connections is not here: tests/nginx has the real one.
"""

import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

MASTER, WORKER = "nginx: master process", "nginx: worker process"


def command(directory: Path) -> str:
    """Write an executable that stands for /usr/sbin/nginx and return its path."""
    script = directory / "nginx"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def command_line(title: str, role: str, directory: Path, descriptor: int) -> tuple[str, list[str], dict[str, str]]:
    """Executable, arguments and environment of this file in another role, under nginx's process title."""
    # Under another title Python does not find itself.
    python = os.environ.get("FAKE_NGINX_PYTHON") or os.path.realpath(sys.executable)
    environment = {"PYTHONHOME": sys.base_prefix, "PATH": "/usr/bin:/bin", "FAKE_NGINX_PYTHON": python}
    return python, [title, str(Path(__file__).resolve()), role, str(directory), str(descriptor)], environment


def spawn(title: str, role: str, directory: Path, descriptor: int) -> int:
    """Run this file in another role."""
    python, arguments, environment = command_line(title, role, directory, descriptor)
    return subprocess.Popen(arguments, executable=python, env=environment, pass_fds=[descriptor]).pid


def start(directory: Path) -> None:
    """The command line: bind, write the process id, be the master."""
    if "refuse to start" in (directory / "nginx.conf").read_text():
        raise SystemExit("nginx: [emerg] told to fail")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "control.sock"))
    listener.listen(16)
    listener.set_inheritable(True)
    (directory / "nginx.pid").write_text(f"{os.getpid()}\n")
    os.execve(*command_line(MASTER, "master", directory, listener.fileno()))


def master(directory: Path, descriptor: int) -> None:
    """Keep one worker; SIGQUIT ends both."""
    worker = spawn(WORKER, "worker", directory, descriptor)

    def on_quit(*_: object) -> None:
        os.kill(worker, signal.SIGQUIT)
        os.waitpid(worker, 0)
        (directory / "nginx.pid").unlink()
        os._exit(0)

    signal.signal(signal.SIGQUIT, on_quit)
    while True:
        os.waitpid(worker, 0)
        worker = spawn(WORKER, "worker", directory, descriptor)


class Worker:
    """Applies files and answers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.taken: dict[str, bytes] = {}
        self.draining = False
        self.generation = 0
        self.apply()

    def apply(self) -> list[str]:
        refusals = []
        for name in ("state", "svid.pem", "bundle.pem"):
            path = self.directory / name
            data = path.read_bytes() if path.exists() else None
            if data is None or self.taken.get(name) == data:
                continue
            problem = self.judge(name, data)
            if problem:
                number = next((i for i, line in enumerate(data.split(b"\n"), 1) if b"/refused" in line), 1)
                refusals.append(f"{name}:{number}: {problem}")
            else:
                self.taken[name] = data
                self.generation += 1
        return refusals

    def judge(self, name: str, data: bytes) -> str:
        lines = data.split(b"\n")
        if name != "state":
            return "" if b"BEGIN CERTIFICATE" in data else "no certificate"
        if lines[-2:] != [b"end\t%d" % (len(lines) - 2), b""]:
            return "the document was cut short"
        return "told to refuse" if b"/refused" in data else ""

    def status(self) -> dict[str, object]:
        head = self.taken.get("state", b"mesh\t1\t").split(b"\n")[0].decode().split("\t")[2]
        svid, bundle = self.taken.get("svid.pem"), self.taken.get("bundle.pem")
        mode = next(
            (line[5:].decode() for line in self.taken.get("state", b"").split(b"\n") if line[:5] == b"mode\t"), ""
        )
        facts = self.certificate(svid) if svid else {}
        return {
            "revision": head or None,
            "mode": mode or None,
            "generation": self.generation,
            "ready": bool(head and head != "-" and ((svid and bundle) or mode == "off")),
            "draining": self.draining,
            "bundle_digest": hashlib.sha256(bundle).hexdigest() if bundle else None,
            "svid_serial": facts.get("serialNumber", "").lower().lstrip("0") or None,
            "svid_not_after": int(ssl.cert_time_to_seconds(facts["notAfter"])) if facts else None,
            "pid": os.getpid(),
            "endpoints": [],
        }

    def certificate(self, pem: bytes) -> dict[str, str]:
        with tempfile.NamedTemporaryFile() as file:
            file.write(pem[: pem.index(b"-----END CERTIFICATE-----") + 26])
            file.flush()
            decode = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]
            facts: dict[str, str] = decode(file.name)
            return facts

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        if (method, path) == ("POST", "/apply"):
            refusals = self.apply()
            with (self.directory / "applies").open("a") as log:
                print(self.status()["revision"], "refused" if refusals else "taken", file=log)
            if refusals:
                return 422, "\n".join(refusals).encode()
        elif (method, path) == ("POST", "/drain"):
            self.draining = True
        elif (method, path) != ("GET", "/status"):
            return 404, b"not found"
        return 200, json.dumps(self.status()).encode()


def work(directory: Path, descriptor: int) -> None:
    """Serve the control socket until SIGQUIT."""
    signal.signal(signal.SIGQUIT, lambda *_: os._exit(0))
    worker = Worker(directory)
    listener = socket.socket(fileno=descriptor)
    while True:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(4096)
            method, path, _ = request.decode().split(" ", 2)
            code, body = worker.answer(method, path)
            connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (code, len(body), body))


if __name__ == "__main__":
    if sys.argv[1] == "master":
        master(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "worker":
        work(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        start(Path(sys.argv[sys.argv.index("-c") + 1]).parent)
