"""Configuration files of a node's containerd, CNI and kubelet: text made from the plan.

The node sees its own /run, /var/lib and /var/log (``node_mounts``), so the usual paths are used.
"""

import json
from pathlib import Path
from typing import Any

from embedded.cluster import addresses, kubeconfig, parts, pki, places, requirements

SETTINGS = places.NodePlaces(Path("/")).inside / "etc"


def write(plan: addresses.Plan, node: addresses.Node, where: places.Places, pause_image: str) -> None:
    """Write every file of *node* into its settings directory on the host."""
    directory = where.node(node.number).settings
    (directory / "cni").mkdir(parents=True, exist_ok=True, mode=0o700)
    (directory / "containerd.toml").write_text(containerd(pause_image))
    (directory / "cni" / "10-pods.conflist").write_text(json.dumps(cni(node), indent=2))
    (directory / "kubelet.json").write_text(json.dumps(kubelet(plan, node), indent=2))
    holder = pki.node_certificate(node)
    kubeconfig.write(directory / "kubelet.kubeconfig", plan.name, plan.api_url, where.pki, holder)
    kubeconfig.write(directory / "kube-proxy.kubeconfig", plan.name, plan.api_url, where.pki, "kube-proxy")
    for source, target in ((f"{holder}.crt", "kubelet.crt"), (f"{holder}.key", "kubelet.key"), ("ca.crt", "ca.crt")):
        copy = directory / target
        copy.touch(mode=0o600)
        copy.write_bytes((where.pki / source).read_bytes())


def containerd(pause_image: str) -> str:
    """Configuration of containerd, version 3."""
    return f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
  address = "{parts.CONTAINERD_SOCKET}"

[plugins.'io.containerd.internal.v1.opt']
  path = "/var/lib/containerd/opt"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause_image}"

[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE a process cannot lower its oom_score_adj.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{requirements.CNI_DIRECTORY}"]
  conf_dir = "{SETTINGS}/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""


def cni(node: addresses.Node) -> dict[str, Any]:
    """One bridge per node. No masquerading: a pod is seen by its own address everywhere in the cluster."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(node.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "/run/cni",
        },
    }
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def kubelet(plan: addresses.Plan, node: addresses.Node) -> dict[str, Any]:
    """KubeletConfiguration of *node*."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{SETTINGS}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{SETTINGS}/kubelet.crt",
        "tlsPrivateKeyFile": f"{SETTINGS}/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{parts.CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [str(plan.slot.dns_address)],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        # The disk is shared with everything else on this machine; it is not the node's to clean up.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        # Changed ConfigMaps and Secrets reach their volumes within this, instead of a minute.
        "syncFrequency": "20s",
    }
