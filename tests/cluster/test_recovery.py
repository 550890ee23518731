"""Parts that are killed come back, and a stopped cluster leaves nothing (contract 10.cluster-heals, 10.cluster-stop)."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from embedded.cluster import cgroups
from tests.cluster.conftest import Cluster, command, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.mark.spec("10.cluster-heals")
@pytest.mark.parametrize(
    "name",
    [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "provisioner",
        "containerd-1",
        "kubelet-1",
        "kube-proxy-1",
    ],
)
def test_a_killed_part_is_started_again_and_pods_live_on(cluster: Cluster, name: str) -> None:
    before = cluster.run_pod("steady", "serve", "8000", nodeName="node-1")["status"]["containerStatuses"]
    part = cluster.part(name)
    os.kill(part["pid"], signal.SIGKILL)
    eventually(lambda: cluster.part(name)["restarts"] > part["restarts"], f"{name} started again")
    eventually(lambda: cluster.status()["healthy"], "cluster healthy")
    cluster.run_pod(f"after-{name}", "resolve", "kubernetes.default", nodeName="node-1")
    cluster.kubectl("delete", "pod", f"after-{name}")
    after = cluster.get("pod", "steady")["status"]["containerStatuses"]
    assert after[0]["containerID"] == before[0]["containerID"]


@pytest.mark.spec("10.cluster-stop")
def test_a_dead_owner_is_cleared_and_stop_leaves_nothing(other: Cluster, probe: tuple[Path, str]) -> None:
    before = _traces(other)
    other.cli("start")
    other.cli("load-image", str(probe[0]))
    before_kill = other.run_pod("steady", "serve", "8000", restartPolicy="Always")
    containers = cgroups.members(other.name, cgroups.hierarchies())
    os.kill(other.status_pid(), signal.SIGKILL)
    eventually(lambda: not other.status()["healthy"], "status says that the owner is dead")
    assert _alive(containers), "the test needs containers that outlive the supervisor"
    other.cli("start")
    assert not _alive(containers)
    # The pod is the cluster's state: it comes back by itself.
    first = before_kill["status"]["containerStatuses"][0]["containerID"]
    eventually(lambda: _container(other, "steady") not in {first, None}, "pod started again")
    later = cgroups.members(other.name, cgroups.hierarchies())
    other.cli("stop")
    assert _traces(other) == before
    assert not _alive(later)
    assert other.status()["state"] == "stopped"


def test_reset_forgets_everything(other: Cluster) -> None:
    other.cli("start")
    other.kubectl("create", "configmap", "remembered")
    other.cli("stop")
    other.cli("start")
    assert other.get("configmap", "remembered")
    other.cli("reset")
    assert "remembered" not in other.kubectl("get", "configmaps", "-o", "name")
    other.cli("delete")
    assert not other.where.root.exists()


def test_an_interrupted_start_leaves_nothing(other: Cluster) -> None:
    before = _traces(other)
    with subprocess.Popen(
        command("start", other.name), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as start:
        assert start.stdout is not None
        while "container runtime" not in (line := start.stdout.readline()):
            assert line, "the start ended by itself"
        assert _traces(other) != before
        start.send_signal(signal.SIGINT)
        assert start.wait(60) == 130
    assert _traces(other) == before


def _container(cluster: Cluster, pod: str) -> str | None:
    """The running container of *pod*, if there is one."""
    [found] = cluster.get("pod", pod)["status"]["containerStatuses"]
    return found["containerID"] if "running" in found["state"] else None


def _alive(pids: set[int]) -> set[int]:
    """Those of *pids* that still run; a zombie does not."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found |= {pid} if state != "Z" else set()
    return found


def _traces(cluster: Cluster) -> dict[str, object]:
    """Everything on the machine that could be left of *cluster*."""
    mark = f"nm-{cluster.name}"
    state = str(cluster.where.root)
    commands = (
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.name != str(os.getpid())
    )
    return {
        "namespaces": [path.name for path in Path("/run/netns").glob(f"{mark}-*")],
        "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{mark}")],
        "mounts": [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if mark in line or state in line
        ],
        "processes": [line for line in commands if state.encode() in line],
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "routes": _output("ip", "route"),
        "packet filter": _output("sh", "-c", "iptables-save | grep -v '^[#:]'; ip6tables-save | grep -v '^[#:]'; true"),
    }


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout
