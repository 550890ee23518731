"""A pod's first moment: calls in the first millisecond are answered, and how long the sidecar made them wait (contract 5.ready)."""

import os
import re
import secrets
import signal
import statistics
import time
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mesh.api import names
from tests.e2e.apps import App, namespace_object
from tests.e2e.eventually import eventually
from tests.e2e.jobs import END_SECONDS, HASTY_AND_LOUD, create, finish, job, python
from tests.e2e.mesh_under_test import MeshUnderTest, address

AT_ONCE = 5
START_SECONDS = 20.0
SLACK_SECONDS = 180.0
READY_SECONDS, POLL_SECONDS = 120.0, 0.01
PID1 = "nginx-mesh-pid1"
LINE = re.compile(r"^\[pod/(?P<pod>[^/]+)/\S+\] (?P<time>\S+) (?P<text>.*)$", re.MULTILINE)


def runs(short: int, long: int) -> list[Any]:
    """How many starts in the short form of a case and in the long one."""
    limits = [pytest.mark.timeout(starts * START_SECONDS + SLACK_SECONDS) for starts in (short, long)]
    return [
        pytest.param(short, id="short", marks=limits[0]),
        pytest.param(long, id="long", marks=[pytest.mark.soak, limits[1]]),
    ]


@pytest.mark.spec("5.ready", "5.jobs")
@pytest.mark.parametrize("starts", runs(10, 100))
def test_calls_in_the_first_millisecond_are_answered(mesh: MeshUnderTest, pair_of_apps: str, starts: int) -> None:
    """An application that calls out before it does anything else: never refused, always by mTLS; and its Job ends soon."""
    name = f"hasty-{secrets.token_hex(3)}"
    create(mesh, pair_of_apps, "Job", name, job(mesh, python(HASTY_AND_LOUD), completions=starts, parallelism=AT_ONCE))
    ended = finish(mesh, pair_of_apps, name, starts * START_SECONDS)
    assert len(ended) == starts, "a pod failed and was replaced"
    seconds = [pod.seconds_after_work() for pod in ended]
    print(f"{starts} starts, 0 refused; sidecars ended after {_shown(seconds)}")
    print(
        f"redirection to first answer, new identities: {_shown(_waits(mesh, pair_of_apps, f'job-name={name}', starts))}"
    )
    # The median, because the machine may be busy with other things for one of them.
    assert statistics.median(seconds) <= END_SECONDS, seconds
    mesh.kubectl.run("-n", pair_of_apps, "delete", "job", name, "--wait=false")


@pytest.mark.spec("5.ready", "5.native")
@pytest.mark.parametrize("starts", runs(5, 100))
def test_an_ordinary_sidecar_is_there_in_the_first_millisecond(
    mesh: MeshUnderTest, pair_of_apps: str, starts: int
) -> None:
    """The same for the way back from native sidecars, where a hook holds the application back."""
    waits: list[float] = []
    for _ in range(0, starts, AT_ONCE):
        batch = f"classic-{secrets.token_hex(3)}"
        selector = f"batch={batch}"
        mesh.kubectl.apply(*(_classic(mesh, pair_of_apps, batch, number) for number in range(AT_ONCE)))
        limit = AT_ONCE * START_SECONDS + SLACK_SECONDS / 2
        ended = eventually(partial(_ended, mesh, pair_of_apps, selector), limit, "the end of the applications")
        codes = {pod["metadata"]["name"]: _app(pod)["terminated"]["exitCode"] for pod in ended}
        assert set(codes.values()) == {0}, codes
        waits += _waits(mesh, pair_of_apps, selector, AT_ONCE)
        mesh.kubectl.run("-n", pair_of_apps, "delete", "pod", "-l", selector, "--wait=false")
    assert len(waits) == starts
    print(f"{starts} starts, 0 refused; redirection to first answer: {_shown(waits)}")


@pytest.mark.spec("5.ready")
@pytest.mark.parametrize("starts", runs(1, 10))
def test_a_sidecar_whose_certificate_is_issued_already_is_ready_soon(
    mesh: MeshUnderTest, namespace: str, starts: int
) -> None:
    """Its container is killed and started again: nothing has to be registered or signed."""
    mesh.kubectl.apply(namespace_object(namespace, injected=True))
    mesh.deploy(namespace, App("again", mesh.image, (8080,), replicas=starts))
    seconds = []
    for pod in mesh.pods(namespace, "again"):
        os.kill(mesh.process(pod, names.SIDECAR, PID1), signal.SIGKILL)
        eventually(partial(_reason_not_ready, pod), 10, "the end of the container")
        ready = _wait_ready(pod)
        again = mesh.kubectl.get("pod", pod["metadata"]["name"], "-n", namespace)
        seconds.append(ready - _process_start(mesh.process(again, names.SIDECAR, PID1)))
    print(f"container's first process to sidecar's readiness, issued identities: {_shown(seconds)}")


def _classic(mesh: MeshUnderTest, namespace: str, batch: str, number: int) -> dict[str, Any]:
    """A pod with an ordinary sidecar: it goes on when its application has ended."""
    metadata = {
        "name": f"{batch}-{number}",
        "namespace": namespace,
        "labels": {"batch": batch},
        "annotations": {names.ANNOTATION_NATIVE_SIDECAR: "false"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": job(mesh, python(HASTY_AND_LOUD))["template"]["spec"],
    }


def _app(pod: dict[str, Any]) -> dict[str, Any]:
    """The state of the application's container."""
    states = [row["state"] for row in pod["status"].get("containerStatuses", []) if row["name"] == "app"]
    return states[0] if states else {}


def _ended(mesh: MeshUnderTest, namespace: str, selector: str) -> list[dict[str, Any]]:
    """The pods of *selector*, once the applications of all of them have ended; before that, none."""
    pods: list[dict[str, Any]] = mesh.kubectl.get("pods", "-n", namespace, "-l", selector)["items"]
    return pods if len(pods) == AT_ONCE and all("terminated" in _app(pod) for pod in pods) else []


def _waits(mesh: MeshUnderTest, namespace: str, selector: str, count: int) -> list[float]:
    """Of each pod, the seconds from the rules that redirect it to the answer of the application's first call."""
    rules, answers = (_line_times(mesh, namespace, selector, count, container) for container in (names.INIT, "app"))
    return [answers[pod] - at for pod, at in rules.items()]


def _line_times(mesh: MeshUnderTest, namespace: str, selector: str, count: int, container: str) -> dict[str, float]:
    """When a container wrote the last line of its log, by pod."""
    logs = mesh.kubectl.run(
        *("-n", namespace, "logs", "-l", selector, "-c", container, "--timestamps", "--prefix", "--tail=1"),
        f"--max-log-requests={count}",
    )
    return {match["pod"]: datetime.fromisoformat(match["time"]).timestamp() for match in LINE.finditer(logs)}


def _reason_not_ready(pod: dict[str, Any]) -> str:
    """What a sidecar, or the kernel in its place, says of its readiness; empty when it is ready."""
    try:
        with urllib.request.urlopen(f"http://{address(pod)}:{names.PORT_METRICS}/ready", timeout=1):
            return ""
    except OSError as error:
        return str(error)


def _wait_ready(pod: dict[str, Any]) -> float:
    """The time at which a sidecar became ready, to some 10 ms."""
    end = time.monotonic() + READY_SECONDS
    while reason := _reason_not_ready(pod):
        assert time.monotonic() < end, reason
        time.sleep(POLL_SECONDS)
    return time.time()


def _process_start(pid: int) -> float:
    """When a process of this machine was started, in seconds of the epoch."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19])
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def _shown(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return f"median {statistics.median(ordered):.1f} s, p99 {p99:.1f} s, longest {ordered[-1]:.1f} s"
