"""Where the programs of a cluster are: the one place that asks the tool cache.

NGINX_MESH_TOOLS_DIR names a directory that holds all of them and is used instead of the cache.
"""

import os
from pathlib import Path

from embedded.tools import paths
from embedded.tools.errors import ToolError

OVERRIDE = "NGINX_MESH_TOOLS_DIR"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NODE = ("containerd", "containerd-shim-runc-v2", "ctr", "kubelet", "kube-proxy")
DNS = ("coredns",)
ALL = CONTROL_PLANE + NODE + DNS


class MissingToolError(RuntimeError):
    """A program that the cluster needs is not there."""


def find(name: str) -> Path:
    """Path of the program *name*; raises MissingToolError when it has not been prepared."""
    override = os.environ.get(OVERRIDE)
    if not override:
        try:
            return paths.path_of(name)
        except ToolError as error:
            raise MissingToolError(str(error)) from error
    path = Path(override).absolute() / name
    if not os.access(path, os.X_OK):
        raise MissingToolError(f"{name}: no executable at {path}; put it there or unset {OVERRIDE}")
    return path


def find_all() -> dict[str, Path]:
    """Path of every program of a cluster."""
    return {name: find(name) for name in ALL}
