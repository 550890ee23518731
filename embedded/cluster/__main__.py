"""``python -m embedded.cluster``: named Kubernetes clusters on this machine."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from embedded.cluster import (
    addresses,
    api,
    binaries,
    cgroups,
    commands,
    images,
    lifecycle,
    oci,
    places,
    requirements,
    settings,
    status,
)
from embedded.tools import paths

DEFAULT_NAME = "dev"
_EXPECTED = (
    addresses.ClusterNameError,
    api.ApiError,
    binaries.MissingToolError,
    cgroups.CgroupError,
    commands.CommandError,
    lifecycle.StartError,
    oci.ArchiveError,
    requirements.UnmetRequirementError,
    settings.SlotError,
    status.NotRunningError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return _run(arguments, places.Places(paths.state_root(addresses.check_name(arguments.name))))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except _EXPECTED as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m embedded.cluster", description="Kubernetes on this machine, for a mesh to run on."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("start", "start the cluster, and wait until it can be used"),
        ("stop", "take the running cluster away; keep its state"),
        ("reset", "stop, forget everything, start"),
        ("delete", "stop, forget everything"),
        ("status", "show parts and nodes; exit code 1 unless all is well"),
        ("kubeconfig", "print the path of the kubeconfig"),
        ("load-image", "import image archives into every node"),
        ("exec", "run a command among a node's networks and mounts"),
    ):
        one = verbs.add_parser(verb, help=text, description=text)
        if verb in {"load-image", "exec"}:
            one.add_argument("name", metavar="NAME")
        else:
            one.add_argument("name", metavar="NAME", nargs="?", default=DEFAULT_NAME)
        if verb in {"start", "reset"}:
            one.add_argument("--nodes", type=int, choices=range(1, addresses.MAX_NODES + 1), metavar="N")
        if verb == "status":
            one.add_argument("-o", "--output", choices=("text", "json"), default="text")
        if verb == "load-image":
            one.add_argument("archives", metavar="ARCHIVE", nargs="+", type=Path)
        if verb == "exec":
            one.add_argument("--node", type=int, default=1, metavar="N")
            one.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    return parser


def _run(arguments: argparse.Namespace, where: places.Places) -> int:
    name: str = arguments.name
    match arguments.verb:
        case "start":
            print(f'cluster "{name}"', flush=True)
            lifecycle.start(name, where, arguments.nodes, _say)
            _say(f"kubeconfig: {where.kubeconfig}")
        case "reset":
            print(f'cluster "{name}"', flush=True)
            lifecycle.reset(name, where, arguments.nodes, _say)
            _say(f"kubeconfig: {where.kubeconfig}")
        case "stop":
            lifecycle.stop(name, where, _say)
        case "delete":
            lifecycle.delete(name, where, _say)
        case "status":
            return _status(status.read(name, where), arguments.output)
        case "kubeconfig":
            print(status.kubeconfig(where))
        case "load-image":
            _load(where, arguments.archives)
        case "exec":
            _exec(where, arguments.node, arguments.command)
    return 0


def _status(found: status.Status, output: str) -> int:
    if output == "json":
        value = {
            "version": 1,
            "name": found.name,
            "state": found.state,
            "healthy": found.healthy,
            "apiReady": found.api_ready,
            "dnsReady": found.dns_ready,
            "nodesReady": found.nodes_ready,
            **{key: found.document.get(key, []) for key in ("nodes", "parts")},
        }
        print(json.dumps(value, indent=2))
        return 0 if found.healthy else 1
    print(f'cluster "{found.name}": {found.state}, {"healthy" if found.healthy else "not healthy"}')
    for part in found.document.get("parts", []):
        age = f"{time.time() - part['since']:8.0f} s" if part["pid"] else "    down  "
        print(f"  {part['name']:<26} pid {part['pid'] or '-':<8} up {age}   restarts {part['restarts']}")
    for node, ready in found.nodes_ready.items():
        print(f"  {node:<26} {'Ready' if ready else 'not Ready'}")
    if found.document:
        print(f"  {'API server':<26} {'answers' if found.api_ready else 'does not answer'}")
        print(f"  {'DNS':<26} {'answers' if found.dns_ready else 'does not answer'}")
    return 0 if found.healthy else 1


def _load(where: places.Places, archives: list[Path]) -> None:
    value = settings.find(where)
    for number in range(1, (value.nodes if value else 1) + 1):
        imported = images.load(status.entrance(where, number), archives)
        for archive in archives:
            print(f"node-{number}: {archive.name}: {'imported' if archive in imported else 'already there'}")


def _exec(where: places.Places, number: int, command: list[str]) -> NoReturn:
    argv = (*status.entrance(where, number), *command)
    os.execvp(argv[0], argv)


def _say(line: str) -> None:
    print(line, flush=True)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    """A start that is told to end takes away what it made, as for Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
