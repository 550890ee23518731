"""Redirect the pod's TCP to its sidecar, then end (contract 5.redirect). Runs as root before all other containers.

python -m mesh.init [--ignore-incoming-ports=80,443] [--ignore-outgoing-ports=5432]
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mesh.api import quantities
from mesh.api.errors import InvalidInputError
from mesh.init import iptables, rules, wait

EXIT_FAILED = 1
INTERFACES = Path("/proc/net/if_inet6")
_GLOBAL_SCOPE = "00"


def ports(text: str) -> tuple[int, ...]:
    """Read a list of ports such as ``80,443``. Raises argparse.ArgumentTypeError naming the wrong item."""
    try:
        return quantities.parse_ports("ports", text)
    except InvalidInputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def ipv6_scope(table: str) -> str:
    """What IPv6 a pod has, from /proc/net/if_inet6: ``global``, ``link`` (on every device by itself) or nothing."""
    scopes = [fields[3] for fields in map(str.split, table.splitlines()) if len(fields) == 6 and fields[5] != "lo"]
    if _GLOBAL_SCOPE in scopes:
        return "global"
    return "link" if scopes else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the rules; returns the exit code."""
    parser = argparse.ArgumentParser(prog="mesh.init", description="Redirect a pod's TCP to its sidecar.")
    parser.add_argument("--ignore-incoming-ports", type=ports, default=(), metavar="PORTS")
    parser.add_argument("--ignore-outgoing-ports", type=ports, default=(), metavar="PORTS")
    parser.add_argument("--wait-for", metavar="HOST:PORT", help="only wait until this server accepts connections")
    given = parser.parse_args(arguments)
    if given.wait_for is not None:
        return _wait(given.wait_for)
    redirection = rules.Redirection(given.ignore_incoming_ports, given.ignore_outgoing_ports)
    if os.geteuid() != 0:
        return _fail("runs as root only: set runAsUser: 0 and runAsNonRoot: false on the init container")
    scope = ipv6_scope(INTERFACES.read_text()) if INTERFACES.exists() else ""
    try:
        _say("IPv4", iptables.install(iptables.IPV4, redirection))
        if scope:
            _say("IPv6", iptables.install(iptables.IPV6, redirection))
    except iptables.RedirectionError as error:
        return _fail(str(error))
    return 0


def _wait(address: str) -> int:
    try:
        return 0 if wait.until_connected(address) else _fail(f"no connection to {address}")
    except ValueError as error:
        return _fail(str(error))


def _say(family: str, variant: str) -> None:
    print(f"{family}: redirected by iptables ({variant})")  # noqa: T201


def _fail(reason: str) -> int:
    print(f"mesh.init: {reason}", file=sys.stderr)  # noqa: T201
    return EXIT_FAILED
