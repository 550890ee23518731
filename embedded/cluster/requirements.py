"""What the machine must offer before a cluster can start; every gap is named at once, with its repair."""

import os
import shutil
from pathlib import Path

CNI_DIRECTORY = Path("/usr/lib/cni")
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
# Program -> Debian package.
PROGRAMS = {
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "sysctl": "procps",
    "gcc": "gcc libc6-dev",
}
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
MINIMUM_INOTIFY_INSTANCES = 1024
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class UnmetRequirementError(RuntimeError):
    """The machine lacks something; the text says what and how to get it."""


def check() -> None:
    """Raise UnmetRequirementError with everything that is missing."""
    if os.geteuid() != 0:
        raise UnmetRequirementError("the embedded cluster needs root: it makes network namespaces, mounts and cgroups")
    packages = missing_packages()
    if packages:
        raise UnmetRequirementError(f"missing Debian packages; run: apt-get install --yes {' '.join(packages)}")
    if not cgroup_hierarchy_mounted():
        raise UnmetRequirementError("no cgroup hierarchy at /sys/fs/cgroup; mount cgroup2 there")


def missing_packages() -> list[str]:
    """Debian packages that bring what is not on this machine, sorted."""
    missing = {
        package
        for program, packages in PROGRAMS.items()
        if shutil.which(program, path=SEARCH_PATH) is None
        for package in packages.split()
    }
    if any(not (CNI_DIRECTORY / plugin).exists() for plugin in CNI_PLUGINS):
        missing.add("containernetworking-plugins")
    return sorted(missing)


def cgroup_hierarchy_mounted() -> bool:
    """Whether cgroups can be made at all."""
    root = Path("/sys/fs/cgroup")
    return root.is_dir() and any(root.iterdir())


def raise_inotify_limit() -> None:
    """Let every node watch files: a kubelet and containerd need more instances than the kernel's default of 128.

    The limit is the machine's and stays raised when the cluster stops.
    """
    if int(INOTIFY_INSTANCES.read_text()) < MINIMUM_INOTIFY_INSTANCES:
        INOTIFY_INSTANCES.write_text(f"{MINIMUM_INOTIFY_INSTANCES}\n")
