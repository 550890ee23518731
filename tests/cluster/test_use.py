"""What a running cluster offers (contract 10.cluster, 10.cluster-nodes, 10.cluster-volumes, 10.cluster-images)."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster.conftest import Cluster, command, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


@pytest.mark.spec("10.cluster")
def test_every_part_and_node_is_well(cluster: Cluster) -> None:
    found = cluster.status()
    assert found["healthy"], found
    assert found["nodesReady"] == {"node-1": True, "node-2": True}
    assert cluster.where.kubeconfig.stat().st_mode & 0o777 == 0o600
    versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in cluster.get("nodes")["items"]}
    assert versions == {"v1.36.3"}


def test_starting_a_running_cluster_changes_nothing(cluster: Cluster) -> None:
    before = [part["pid"] for part in cluster.status()["parts"]]
    both = [subprocess.Popen(command("start", cluster.name), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert [part["pid"] for part in cluster.status()["parts"]] == before


def test_another_number_of_nodes_is_refused_while_running(cluster: Cluster) -> None:
    done = cluster.cli("start", "--nodes", "3", check=False)
    assert done.returncode == 1
    assert "runs with 2 nodes, not 3; stop it first" in done.stderr


def test_a_pod_finds_services_by_name_and_its_output_is_seen(cluster: Cluster) -> None:
    cluster.run_pod("lookup", "resolve", "kubernetes.default")
    address = cluster.get("service", "kubernetes")["spec"]["clusterIP"]
    assert cluster.kubectl("logs", "lookup").strip() == address


def test_commands_run_in_a_container(cluster: Cluster) -> None:
    cluster.run_pod("target", "serve", "8000")
    assert cluster.kubectl("exec", "target", "--", "/probe", "fetch", "127.0.0.1", "8000") == "127.0.0.1\n"


@pytest.mark.spec("10.cluster-nodes")
def test_pods_of_two_nodes_see_each_other_by_their_own_addresses(cluster: Cluster) -> None:
    server = cluster.run_pod("server", "serve", "8000", nodeName="node-2")
    client = cluster.run_pod("client", "serve", "8000", nodeName="node-1")
    fetched = cluster.kubectl("exec", "client", "--", "/probe", "fetch", server["status"]["podIP"], "8000")
    assert fetched.strip() == client["status"]["podIP"]


@pytest.mark.spec("10.cluster-nodes")
def test_nodes_do_not_share_run(cluster: Cluster) -> None:
    """SPIRE agents serve their socket in /run/spire: each node's must be its own."""
    volume = {"name": "run", "hostPath": {"path": "/run/spire/sockets", "type": "DirectoryOrCreate"}}
    mount = {"volumeMounts": [{"name": "run", "mountPath": "/sockets"}]}
    for number in (1, 2):
        name = f"run-{number}"
        cluster.run_pod(
            name, "write", "/sockets/who", name, nodeName=f"node-{number}", volumes=[volume], container=mount
        )
    for number in (1, 2):
        shown = cluster.cli("exec", "--node", str(number), "--", "cat", "/run/spire/sockets/who").stdout
        assert shown.strip() == f"run-{number}"
    assert not Path("/run/spire/sockets/who").exists()


@pytest.mark.spec("10.cluster-volumes")
def test_a_claim_is_bound_written_and_its_data_removed(cluster: Cluster) -> None:
    claim = _claim("data", "ReadWriteOnce")
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(claim))
    cluster.run_pod(
        "writer",
        *("write", "/data/file", "kept"),
        nodeSelector={"kubernetes.io/hostname": "node-2"},
        securityContext={"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 4321},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    )
    volume = cluster.get("pvc", "data")["spec"]["volumeName"]
    directory = cluster.where.node(2).volumes / volume
    written = directory / "file"
    assert written.read_text() == "kept\n"
    assert (written.stat().st_uid, written.stat().st_gid) == (1000, 4321)
    cluster.kubectl("delete", "pod/writer", "pvc/data")
    eventually(lambda: not directory.exists(), "directory of the volume removed")
    eventually(lambda: volume not in cluster.kubectl("get", "pv", "-o", "name"), "volume removed")


def test_a_claim_that_cannot_be_served_says_why(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_claim("shared", "ReadWriteMany")))
    cluster.create_pod(
        "waiting",
        *("serve", "8000"),
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "shared"}}],
        container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    )
    failed = ("events", "--field-selector=reason=ProvisioningFailed")
    eventually(lambda: cluster.get(*failed)["items"], "event on the claim")
    events = cluster.get(*failed)["items"]
    assert "accessModes: got ReadWriteMany" in events[0]["message"]
    cluster.kubectl("delete", "pod/waiting", "pvc/shared")


@pytest.mark.spec("10.cluster-images")
def test_an_image_is_loaded_once_into_every_node(cluster: Cluster, probe: tuple[Path, str], tmp_path: Path) -> None:
    again = cluster.cli("load-image", str(probe[0])).stdout
    assert again.splitlines() == [f"node-{number}: probe.tar: already there" for number in (1, 2)]
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive")
    done = cluster.cli("load-image", str(broken), check=False)
    assert done.returncode == 1
    assert "broken.tar" in done.stderr


def _claim(name: str, mode: str) -> dict[str, object]:
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
