"""The command line of every part (design 4.2): functions of the plan, nothing is run here.

Parts of a node see its own /run, /var/lib and /var/log; its programs are in ``PROGRAMS`` there.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from embedded.cluster import addresses, pki, places

PROGRAMS = Path("/run/nginx-mesh/bin")
NODE_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "kubelet", "kube-proxy")
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"


class After(Enum):
    """What must answer before a part is started for the first time."""

    NOTHING = "nothing"
    API = "the API server"
    CONTAINERD = "containerd and the API server"


@dataclass(frozen=True, slots=True)
class Part:
    """One process to keep running.

    ``node`` names its network namespace, None leaves it in the host's; a part with ``in_node`` also sees the node's files.
    """

    name: str
    argv: tuple[str, ...]
    node: addresses.Node | None
    in_node: bool
    after: After


def all_parts(plan: addresses.Plan, where: places.Places, tools: Mapping[str, Path]) -> tuple[Part, ...]:
    """Every part of the cluster, in the order in which they are started."""
    first = plan.nodes[0]
    control_plane = (
        ("etcd", etcd(where, tools), After.NOTHING),
        ("kube-apiserver", api_server(plan, where, tools), After.NOTHING),
        ("kube-controller-manager", controller_manager(plan, where, tools), After.API),
        ("kube-scheduler", scheduler(where, tools), After.API),
    )
    parts = [Part(name, argv, first, in_node=False, after=after) for name, argv, after in control_plane]
    parts.append(Part("provisioner", provisioner(where), None, in_node=False, after=After.API))
    for node in plan.nodes:
        suffix = f"-{node.number}"
        parts += [
            Part("containerd" + suffix, containerd(), node, in_node=True, after=After.NOTHING),
            Part("kubelet" + suffix, kubelet(node), node, in_node=True, after=After.CONTAINERD),
            Part("kube-proxy" + suffix, proxy(node), node, in_node=True, after=After.API),
        ]
    return tuple(parts)


def etcd(where: places.Places, tools: Mapping[str, Path]) -> tuple[str, ...]:
    """One member, on loopback of node 1. Nothing waits for the disk: a power cut may lose the cluster's objects."""
    return (
        str(tools["etcd"]),
        f"--data-dir={where.etcd}",
        "--name=node-1",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=node-1=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=5m",
        "--log-level=warn",
    )


def api_server(plan: addresses.Plan, where: places.Places, tools: Mapping[str, Path]) -> tuple[str, ...]:
    """API server with Node and RBAC authorization, aggregation and bound service account tokens."""
    service_account = where.pki / f"{pki.SERVICE_ACCOUNT_KEY}.key"
    return (
        str(tools["kube-apiserver"]),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={plan.nodes[0].address}",
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={_certificate(where, pki.CLUSTER_AUTHORITY)}",
        *_serving(where, "kube-apiserver"),
        f"--kubelet-client-certificate={_certificate(where, 'kubelet-client')}",
        f"--kubelet-client-key={_key(where, 'kubelet-client')}",
        f"--kubelet-certificate-authority={_certificate(where, pki.CLUSTER_AUTHORITY)}",
        # Node names are in no DNS: logs and exec fail without this.
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={service_account}",
        f"--service-account-signing-key-file={service_account}",
        f"--service-cluster-ip-range={plan.slot.services}",
        f"--requestheader-client-ca-file={_certificate(where, pki.FRONT_PROXY_AUTHORITY)}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={_certificate(where, 'front-proxy-client')}",
        f"--proxy-client-key-file={_key(where, 'front-proxy-client')}",
        "--enable-aggregator-routing=true",
        "--profiling=false",
        "--event-ttl=30m",
    )


def controller_manager(plan: addresses.Plan, where: places.Places, tools: Mapping[str, Path]) -> tuple[str, ...]:
    """Controller manager, alone and therefore without a leader election; pod ranges are the plan's, not its own."""
    return (
        str(tools["kube-controller-manager"]),
        *_identity(where, "kube-controller-manager"),
        f"--root-ca-file={_certificate(where, pki.CLUSTER_AUTHORITY)}",
        f"--service-account-private-key-file={where.pki / pki.SERVICE_ACCOUNT_KEY}.key",
        f"--cluster-signing-cert-file={_certificate(where, pki.CLUSTER_AUTHORITY)}",
        f"--cluster-signing-key-file={_key(where, pki.CLUSTER_AUTHORITY)}",
        f"--cluster-cidr={plan.slot.pods}",
        f"--service-cluster-ip-range={plan.slot.services}",
        "--allocate-node-cidrs=false",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    )


def scheduler(where: places.Places, tools: Mapping[str, Path]) -> tuple[str, ...]:
    """Scheduler, alone and therefore without a leader election."""
    return (
        str(tools["kube-scheduler"]),
        *_identity(where, "kube-scheduler"),
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    )


def provisioner(where: places.Places) -> tuple[str, ...]:
    """Our own process that makes and removes the volumes behind claims; it runs on the host."""
    return (sys.executable, "-m", "embedded.cluster.provisioner", str(where.root))


def containerd() -> tuple[str, ...]:
    """Container runtime of a node."""
    return (str(PROGRAMS / "containerd"), "--config", str(_inside("containerd.toml")))


def kubelet(node: addresses.Node) -> tuple[str, ...]:
    """Kubelet of a node."""
    return (
        str(PROGRAMS / "kubelet"),
        f"--config={_inside('kubelet.json')}",
        f"--kubeconfig={_inside('kubelet.kubeconfig')}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    )


def proxy(node: addresses.Node) -> tuple[str, ...]:
    """kube-proxy of a node with iptables; connection tracking limits are the machine's and stay as they are."""
    return (
        str(PROGRAMS / "kube-proxy"),
        f"--kubeconfig={_inside('kube-proxy.kubeconfig')}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={node.slot.pods}",
        f"--hostname-override={node.name}",
        "--iptables-min-sync-period=200ms",
        "--metrics-bind-address=127.0.0.1:10249",
        "--healthz-bind-address=127.0.0.1:10256",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    )


def _inside(file: str) -> Path:
    return places.NodePlaces(Path("/")).inside / "etc" / file


def _certificate(where: places.Places, name: str) -> Path:
    return where.pki / f"{name}.crt"


def _key(where: places.Places, name: str) -> Path:
    return where.pki / f"{name}.key"


def _serving(where: places.Places, name: str) -> tuple[str, str]:
    return f"--tls-cert-file={_certificate(where, name)}", f"--tls-private-key-file={_key(where, name)}"


def _identity(where: places.Places, name: str) -> tuple[str, str, str]:
    path = where.pki / f"{name}.kubeconfig"
    return f"--kubeconfig={path}", f"--authentication-kubeconfig={path}", f"--authorization-kubeconfig={path}"
