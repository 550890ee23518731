"""The application behind a sidecar where many requests are counted: plain NGINX, that of the benchmark."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.dataplane import application
from benchmarks.dataplane.processes import nginx_in_root
from benchmarks.dataplane.workloads import HTTP
from tests.nginx.binary import Binary
from tests.nginx.network import Pod
from tests.nginx.sidecar import get, wait_until

PORT = HTTP.application


@contextmanager
def serve(pod: Pod, binary: Binary) -> Iterator[None]:
    """Run it in *pod*, at PORT of all addresses."""
    with tempfile.TemporaryDirectory(prefix="mesh-web-") as name:
        place = Path(name)
        (place / "nginx.conf").write_text(application.WEB)
        command = ["ip", "netns", "exec", pod.namespace, *nginx_in_root(binary.root, place, is_proxy=False)]
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(pod), "the application")
            yield
        finally:
            process.terminate()
            process.wait(30)


def _answers(pod: Pod) -> bool:
    try:
        return get(pod, "127.0.0.1", PORT)[0] == 200
    except OSError:
        return False
