"""Install what comes from the machine's own distribution, with apt-get."""

import os
import shutil
import subprocess
from pathlib import Path

from embedded.tools import child
from embedded.tools.errors import ToolError

_WAIT = ["-o", "DPkg::Lock::Timeout=600"]


async def install(packages: list[str]) -> None:
    """Install *packages*, refreshing the package lists when they turn out stale. Raises ToolError, also when not root."""
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *_WAIT, *packages]
    if shutil.which("apt-get") is None:
        raise ToolError(f"this machine has no apt-get: install the equivalents of {' '.join(packages)} by hand")
    if os.geteuid() != 0:
        raise ToolError(f"missing Debian packages; as root, run: apt-get install {' '.join(packages)}")
    output: list[str] = []
    for step in (command, ["apt-get", "update", *_WAIT], command):
        variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        status = await child.run(step, cwd=Path("/"), environment=variables, line=output.append)
        if status == 0 and step is command:
            return
    raise ToolError("apt-get install failed:\n" + "\n".join(output[-20:]))


def versions(packages: list[str]) -> dict[str, str]:
    """Installed versions by package name; a package that is not installed is left out."""
    if shutil.which("dpkg-query") is None:
        return {}
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status} ${Version}\n", *packages]
    output = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    words = [line.split() for line in output.splitlines()]
    return {name: version for name, status, version in (row for row in words if len(row) == 3) if status == "installed"}
