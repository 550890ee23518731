"""Running iptables-restore: which of its two variants works here is found by doing (contract 5.redirect).

A node's kernel may offer nf_tables, the older x_tables, or both. The nft variant is tried first, as current
distributions do; the legacy one when it fails.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from mesh.init import rules

RUN_SECONDS = 30.0
VARIANTS = ("nft", "legacy")
TABLES = ("nat", "mangle")
IPV4, IPV6 = "iptables", "ip6tables"
# The legacy variant ends when it cannot make its lock file, and the container's root, with /run, is read-only.
LOCK = {"XTABLES_LOCKFILE": "/dev/shm/nginx-mesh-xtables.lock"}  # noqa: S108 - the container's own memory


class RedirectionError(Exception):
    """The rules could not be written; the text has each variant's reason, and the remedy."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a program ended."""

    code: int
    output: str
    errors: str


Run = Callable[[list[str], str], Result]


def run(command: list[str], text: str) -> Result:
    """Run *command* with *text* as its input, for RUN_SECONDS at most."""
    environment = {**os.environ, **LOCK}
    try:
        ended = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=RUN_SECONDS, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Result(-1, "", str(error))
    return Result(ended.returncode, ended.stdout, ended.stderr.strip())


def install(family: str, redirection: rules.Redirection, run_command: Run = run) -> str:
    """Write the rules of one *family* (IPV4 or IPV6); return the variant that took them. Raises RedirectionError."""
    reasons = []
    for variant in VARIANTS:
        program = f"{family}-{variant}"
        present: list[str] = []
        for table in TABLES:
            present += run_command([f"{program}-save", "-t", table], "").output.splitlines()
        text = rules.render(redirection, present)
        # --wait: another program, such as a second run of this one, may hold the lock.
        wait = ["--wait", "10"] if variant == "legacy" else []
        result = run_command([f"{program}-restore", "--noflush", *wait], text)
        if result.code == 0:
            return variant
        reasons.append(f"{program}: {result.errors or f'exit code {result.code}'}")
    # A pod with any IPv6 address can be called there, past the sidecar: without the rules it must not start.
    without = ", or IPv6 switched off in the pod (sysctl net.ipv6.conf.all.disable_ipv6=1)" if family == IPV6 else ""
    raise RedirectionError(
        f"cannot write the packet rules: {'; '.join(reasons)}. The container needs the capabilities NET_ADMIN and "
        "NET_RAW, and the node's kernel the modules nf_nat, xt_REDIRECT, xt_owner and xt_conntrack (or nf_tables with "
        f"nft_compat){without}"
    )
