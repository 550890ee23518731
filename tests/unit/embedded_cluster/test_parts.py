"""Command lines and settings of the parts: each fact of design 4.2 that a cluster does not work without."""

import json
from pathlib import Path

import pytest

from embedded.cluster import addresses, binaries, node_mounts, node_settings, parts, places

PLAN = addresses.Plan("dev", addresses.Slot(0), 2)
WHERE = places.Places(Path("/state/dev"))
TOOLS = {name: Path("/tools") / name for name in binaries.ALL}
PARTS = {part.name: part for part in parts.all_parts(PLAN, WHERE, TOOLS)}


def test_every_node_has_its_runtime_kubelet_and_proxy() -> None:
    per_node = {f"{part}-{number}" for part in ("containerd", "kubelet", "kube-proxy") for number in (1, 2)}
    control_plane = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "provisioner"}
    assert set(PARTS) == per_node | control_plane


@pytest.mark.parametrize(
    "flag",
    [
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--kubelet-preferred-address-types=InternalIP",
        "--enable-aggregator-routing=true",
        "--requestheader-client-ca-file=/state/dev/pki/front-proxy-ca.crt",
        "--proxy-client-cert-file=/state/dev/pki/front-proxy-client.crt",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--service-cluster-ip-range=198.18.8.0/21",
        "--advertise-address=198.18.0.2",
    ],
)
def test_api_server_flag(flag: str) -> None:
    assert flag in PARTS["kube-apiserver"].argv


def test_no_part_carries_a_secret_on_its_command_line() -> None:
    for part in PARTS.values():
        assert not any("BEGIN" in word or "token=" in word for word in part.argv), part.name


def test_nodes_do_not_share_a_cgroup_root() -> None:
    """Kubelets that do kill each other's pods."""
    roots = [node_settings.kubelet(PLAN, node)["cgroupRoot"] for node in PLAN.nodes]
    assert roots == ["/nm-dev/node1", "/nm-dev/node2"]


def test_a_pod_is_seen_by_its_own_address_on_other_nodes() -> None:
    bridge = node_settings.cni(PLAN.nodes[1])["plugins"][0]
    assert bridge["ipMasq"] is False
    assert bridge["ipam"]["ranges"] == [[{"subnet": "198.18.17.0/24"}]]


def test_the_runtime_never_pulls_its_sandbox() -> None:
    assert 'sandbox = "localhost/pause:1"' in node_settings.containerd("localhost/pause:1")


def test_paths_with_spaces_survive_the_mount_script() -> None:
    tools = {name: Path("/a b") / name for name in binaries.ALL}
    script = node_mounts.script(places.NodePlaces(Path("/x y/node1")), tools)
    assert "mount --no-mtab --bind '/a b/kubelet'" in script
    assert "mount --no-mtab --move '/x y/node1/run' /run" in script


def test_settings_are_json() -> None:
    json.dumps([node_settings.cni(PLAN.nodes[0]), node_settings.kubelet(PLAN, PLAN.nodes[0])])
