"""One NGINX of a sidecar: started in a pod's namespace as uid 2102, told what to do as the agent tells it."""

import ctypes
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from mesh.api import names
from mesh.sidecar import nginx_conf
from mesh.spiffe.certificate import pem
from tests.fakes.authority import Issued
from tests.nginx.binary import SOURCE, Binary
from tests.nginx.documents import Document
from tests.nginx.network import Pod

START_SECONDS = 60.0
# Long, because the machine of a test run does many things at once; what comes soon costs nothing.
WITHIN = 30.0
_SYS_PIDFD_GETFD = 438
RUN_DIRECTORY = "/var/run/nginx-mesh"
# As in the image: read-only root, uid 2102, no capability. The mounts go with the last process that sees them.
_LAUNCH = f"""
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount --bind "$2" "$1/usr/lib/nginx/modules"
mount --bind "$3" "$1/run/nginx-mesh"
mount --bind "$4" "$1/usr/sbin/nginx"
mount --bind /dev "$1/dev"
mount --bind /proc "$1/proc"
exec chroot "$1" setpriv --reuid {names.MESH_UID} --regid {names.MESH_UID} --clear-groups --no-new-privs \\
    --inh-caps=-all --ambient-caps=-all --bounding-set=-all nginx -e stderr -c {RUN_DIRECTORY}/nginx.conf
"""
# A worker killed on purpose, and a handshake that a peer spoils: nginx ranks both higher than they are here.
_EXPECTED = ("exited on signal 9", "SSL_do_handshake() failed")
# What the sanitizers say (tests/nginx/sanitized.py).
SANITIZER_REPORT = re.compile(r"(ERROR: \w+Sanitizer|runtime error:)(.*\n?){1,15}")
_FAULT = re.compile(r"\[(alert|crit|emerg)\].*|" + SANITIZER_REPORT.pattern)


def wait_until(check: Callable[[], object], what: str, within: float = WITHIN) -> None:
    """Poll until *check* holds."""
    end = time.monotonic() + within
    while not check():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {within} s")
        time.sleep(0.01)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=WITHIN)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WITHIN)
        self.sock.connect(str(self._path))


class Sidecar:
    """The NGINX of *pod*; ``close`` checks that it had no fault and leaked nothing."""

    def __init__(self, pod: Pod, binary: Binary, workers: int = 1) -> None:
        self.pod = pod
        self.workers = workers
        # Not under pytest's own directory, which other users may not enter.
        self._place = tempfile.TemporaryDirectory(prefix="mesh-nginx-")
        Path(self._place.name).chmod(0o711)
        self.directory = Path(self._place.name) / "run"
        self.directory.mkdir(mode=0o700)
        os.chown(self.directory, names.MESH_UID, names.MESH_UID)
        self.error_log = Path(self._place.name) / "error.log"
        self.access_log = Path(self._place.name) / "access.log"
        self._binary = binary
        self._expected_worker: list[int] = []
        self._descriptors: dict[int, int] = {}
        self.write("nginx.conf", self.configuration())

    def configuration(self) -> str:
        """nginx.conf from the template."""
        conf = SOURCE / "conf"
        text = nginx_conf.join((conf / "nginx.conf.template").read_text(), lambda name: (conf / name).read_text())
        for marker, value in {
            "@RUN_DIRECTORY@": RUN_DIRECTORY,
            "@WORKERS@": str(self.workers),
            "@HTTP_PROBES@": "",
            "@HTTPS_PROBES@": "",
        }.items():
            text = text.replace(marker, value)
        return text

    def write(self, name: str, content: str | bytes) -> None:
        """Put a file in place by rename, as the agent does."""
        part = self.directory / f".{name}.new"
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.chmod(0o600)
        os.chown(part, names.MESH_UID, names.MESH_UID)
        part.rename(self.directory / name)

    def start(self) -> None:
        """Start the master and wait for its workers."""
        (self.directory / "control.sock").unlink(missing_ok=True)
        command = ["ip", "netns", "exec", self.pod.namespace, "unshare", "--mount", "--propagation", "private"]
        command += ["sh", "-ec", _LAUNCH, "sh", str(self._binary.root), str(self._binary.modules), str(self.directory)]
        command.append(str(self._binary.program))
        with self.error_log.open("ab") as errors, self.access_log.open("ab") as access:
            for file in (errors, access):
                os.fchown(file.fileno(), names.MESH_UID, names.MESH_UID)
            done = subprocess.run(
                command,
                env=os.environ | self._binary.environment,
                stdin=subprocess.DEVNULL,
                stdout=access,
                stderr=errors,
                timeout=START_SECONDS,
                check=False,
            )
        assert done.returncode == 0, self.error_log.read_text()
        wait_until(lambda: len(self.worker_pids()) == self.workers and self._answers(), "NGINX", START_SECONDS)
        self._expected_worker = self.worker_pids()
        self._descriptors = {pid: self._open_descriptors(pid) for pid in self._expected_worker}

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/status")[0] == 200
        except OSError:
            return False

    @property
    def master_pid(self) -> int:
        """Process id of the master."""
        return int((self.directory / "nginx.pid").read_text())

    def worker_pids(self) -> list[int]:
        """Process ids of the workers, but for those that are shutting down."""
        try:
            children = Path(f"/proc/{self.master_pid}/task/{self.master_pid}/children").read_text().split()
        except (OSError, ValueError):
            return []
        return [pid for pid in map(int, children) if _title(pid) == "nginx: worker process"]

    @property
    def worker_pid(self) -> int:
        """Process id of the only worker."""
        [pid] = self.worker_pids()
        return pid

    def restart(self) -> None:
        """Kill everything and start again with the same directory."""
        self.stop()
        self.start()

    def replaced_worker(self) -> None:
        """Say that this test ended workers or the master on purpose."""
        self._expected_worker = self.worker_pids()
        self._descriptors = {}

    def request(self, method: str, path: str) -> tuple[int, str]:
        """Ask the control socket."""
        connection = _UnixConnection(self.directory / "control.sock")
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def apply(
        self, document: Document | str | None = None, issued: Issued | None = None, roots: tuple[bytes, ...] = ()
    ) -> dict[str, Any]:
        """Write what is given, apply it, return the status; *roots* (DER) replace the issuer's as bundle."""
        if issued is not None:
            svid = issued.context()
            self.write("svid.pem", svid.svid.chain_pem + svid.svid.key_pem)
            bundle = b"".join(pem("CERTIFICATE", root) for root in roots)
            self.write("bundle.pem", bundle or svid.bundle_pem)
        if document is not None:
            self.write("state", document.render() if isinstance(document, Document) else document)
        status, text = self.request("POST", "/apply")
        assert status == 200, text
        result: dict[str, Any] = json.loads(text)
        return result

    def empty_pools(self) -> None:
        """Close the idle connections to endpoints: in transparent mode none waits for one that went."""
        self.apply(Document(mode="off", settings={"transparent": 1}))

    def status(self) -> dict[str, Any]:
        """The status JSON."""
        result: dict[str, Any] = json.loads(self.request("GET", "/status")[1])
        return result

    def metrics(self) -> dict[str, float]:
        """Series with their labels as written, to value."""
        status, text = get(self.pod, "127.0.0.1", names.PORT_METRICS, "/metrics")
        assert status == 200
        series = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in series}

    def refusals(self, direction: str, reason: str) -> float:
        """How often *reason* was counted."""
        return self.metrics().get(f'nginx_mesh_refusals_total{{direction="{direction}",reason="{reason}"}}', 0)

    def handshakes(self, direction: str, result: str) -> float:
        """How many handshakes ended so."""
        return self.metrics().get(f'nginx_mesh_handshakes_total{{direction="{direction}",result="{result}"}}', 0)

    def log_lines(self) -> list[str]:
        """Lines of the access log that are written so far."""
        return self.access_log.read_text().splitlines()

    def tcp_options(self, option: int) -> list[int]:
        """An option of each of the worker's TCP connections, read by copies of its descriptors."""
        pidfd = os.pidfd_open(self.worker_pid)
        try:
            descriptors = [int(path.name) for path in Path(f"/proc/{self.worker_pid}/fd").iterdir()]
            return [value for number in descriptors if (value := _tcp_option(pidfd, number, option)) is not None]
        finally:
            os.close(pidfd)

    @staticmethod
    def _open_descriptors(pid: int) -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    def close(self) -> None:
        """Empty the table, which closes pools; compare with the start; end."""
        try:
            if self._expected_worker and not self.status()["draining"]:
                self._check_leaks()
            assert self.worker_pids() == self._expected_worker, "another worker process than at the start"
        finally:
            self.stop()
            self._place.cleanup()

    def stop(self) -> None:
        """Kill master and workers, then look for faults in the log."""
        self._expected_worker = []
        pids = [*self.worker_pids(), *([self.master_pid] if _is_nginx(self.directory) else [])]
        if self._binary.environment and pids:
            # Leaks are looked for when a process exits by itself.
            os.kill(pids[-1], signal.SIGTERM)
            wait_until(lambda: not any(map(_title, pids)), "the end of a sanitized NGINX", 60)
            pids = []
        for pid in reversed(pids):
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            wait_until(lambda pid=pid: _title(pid) == "", "the end of NGINX")  # type: ignore[misc]
        faults = [fault.group(0) for fault in _FAULT.finditer(self.error_log.read_text())]
        faults = [fault for fault in faults if not any(expected in fault for expected in _EXPECTED)]
        assert not faults, faults

    def _check_leaks(self) -> None:
        if (self.directory / "state").exists():
            self.empty_pools()
        for pid, before in self._descriptors.items():
            wait_until(
                lambda pid=pid, before=before: self._open_descriptors(pid) <= before,  # type: ignore[misc]
                f"closing of what the test opened ({before} descriptors at the start)",
            )


def _tcp_option(pidfd: int, descriptor: int, option: int) -> int | None:
    """The option of another process's socket; None if that is no TCP connection."""
    copy = ctypes.CDLL(None, use_errno=True).syscall(_SYS_PIDFD_GETFD, pidfd, descriptor, 0)
    try:
        sock = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return None
    with sock:
        try:
            sock.getpeername()
            return sock.getsockopt(socket.IPPROTO_TCP, option)
        except OSError:
            return None


def _is_nginx(directory: Path) -> bool:
    try:
        return _title(int((directory / "nginx.pid").read_text())).startswith("nginx: master")
    except (OSError, ValueError):
        return False


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode().strip()
    except OSError:
        return ""


def get(pod: Pod, address: str, port: int, path: str = "/", timeout: float = WITHIN) -> tuple[int, str]:
    """One GET on a connection of its own."""
    with Client(pod, address, port, timeout) as client:
        response = client.request("GET", path)
        return response.status, response.text


class Response:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        self.will_close = response.will_close

    @property
    def echo(self) -> dict[str, Any]:
        """The application's view of the request."""
        result: dict[str, Any] = json.loads(self.text)
        result["headers"] = {name.lower(): value for name, value in result["headers"]}
        return result


class Client:
    """One keep-alive connection of a pod; it connects again when the other side closed."""

    def __init__(self, pod: Pod, address: str, port: int, timeout: float = WITHIN) -> None:
        self._pod = pod
        self._timeout = timeout
        host = f"[{address}]" if ":" in address else address
        self.connection = http.client.HTTPConnection(host, port, timeout)
        self._address, self._port = address, port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def request(
        self, method: str, path: str = "/", body: Any = None, headers: dict[str, str] | None = None, **options: Any
    ) -> Response:
        """Send a request and read the whole response."""
        if self.connection.sock is not None and select.select([self.connection.sock], [], [], 0)[0]:
            # Closed while idle: every HTTP client looks before it uses a kept connection again.
            self.connection.close()
        if self.connection.sock is None:
            self.connection.sock = self._pod.connect(self._address, self._port, self._timeout)
        self.connection.request(method, path, body, headers or {}, **options)
        response = Response(self.connection.getresponse())
        if response.will_close:
            self.connection.close()
        return response
