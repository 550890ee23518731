"""What a request costs through our pair of sidecars, beside its rivals, in one run: `python -m benchmarks.dataplane`.

Needs root (network namespaces, cgroups). Prints tables, and with ``--json`` writes all that was measured. The exit status is 0 when
every run counts, 3 when some are void (the table says why), 1 when the rig failed, 130 when it was stopped. Goals are shown and never decide it.
"""

import argparse
import datetime as dt
import functools
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.dataplane import application, bare_pair, envoy_pair, goals, mesh_pair, table
from benchmarks.dataplane.measure import idle_kib, measure
from benchmarks.dataplane.processes import cores
from benchmarks.dataplane.results import DIRECT, Memory, Sample, summarise
from benchmarks.dataplane.subjects import Pair, Rig, Start
from benchmarks.dataplane.workloads import GROUPS, HTTP, PLAIN, Workload, order, select
from embedded.tools import __main__ as tools
from embedded.tools import lock, paths
from embedded.tools.errors import ToolError
from tests.nginx import binary
from tests.nginx.sidecar import get, wait_until

TOOLS = ("fortio", "envoy")
START_SECONDS = 20.0
WARM_UP_SECONDS = 1.0
VOID = 3


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane", description=__doc__)
    names = [DIRECT, goals.BARE, goals.MESH, goals.ENVOY]
    parser.add_argument("--only", type=_words(GROUPS), default=list(GROUPS), help=",".join(GROUPS))
    parser.add_argument("--subjects", type=_words(names), default=names, help=",".join(names))
    parser.add_argument("--services", type=_numbers, default=[1, 200], help="how many are loaded, for example 1,200")
    parser.add_argument(
        "--targets",
        type=int,
        default=0,
        help="TrafficTargets on our server, in pairs with more than the fewest services",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of one run")
    parser.add_argument("--pairs", type=int, default=3, help="rounds forth and back: twice as many runs of each")
    parser.add_argument("--json", type=Path, help="a file for all that was measured")
    return parser.parse_args(arguments)


def _words(known: tuple[str, ...] | list[str]) -> Callable[[str], list[str]]:
    def words(text: str) -> list[str]:
        given = text.split(",")
        if unknown := [word for word in given if word not in known]:
            raise argparse.ArgumentTypeError(f"got {','.join(unknown)}, takes {','.join(known)}")
        return given

    return words


def _numbers(text: str) -> list[int]:
    if not all(word.isdecimal() and 1 <= int(word) <= 10_000 for word in text.split(",")):
        raise argparse.ArgumentTypeError(f"got {text}, takes numbers from 1 to 10000 such as 1,200")
    return sorted({int(word) for word in text.split(",")})


def starts(rig: Rig, envoy: Path) -> dict[str, Start]:
    """How the proxies of each subject come to be."""
    return {
        DIRECT: lambda _pair, _ending: None,
        goals.BARE: bare_pair.start,
        goals.MESH: mesh_pair.start,
        goals.ENVOY: envoy_pair.starter(rig.copy_program(envoy)),
    }


def build(rig: Rig, options: argparse.Namespace) -> list[Pair]:
    """All pairs, the direct one first."""
    fortio = paths.path_of("fortio")
    pairs = []
    for name, start in starts(rig, paths.path_of("envoy")).items():
        if name in options.subjects:
            for count in [0] if name == DIRECT else options.services:
                targets = options.targets if name == goals.MESH and count > min(options.services) else 0
                pair = rig.add(name, count, start, targets)
                application.start(pair, rig.copy_program(fortio), Path(sys.executable), paths.ROOT)
                wait_until(functools.partial(_answers, pair), f"{name} with {count} services", START_SECONDS)
                pairs.append(pair)
    return pairs


def _answers(pair: Pair) -> bool:
    pair.children.check()
    address, port = pair.place(HTTP)
    try:
        return get(pair.client, address, port)[0] == 200
    except OSError:
        return False


def run(pairs: list[Pair], workloads: list[Workload], options: argparse.Namespace) -> list[Sample]:
    """Every workload: a warm-up, then the rounds."""
    fortio = paths.path_of("fortio")
    samples: list[Sample] = []
    few = min(options.services)
    for workload in workloads:
        chosen = [pair for pair in pairs if workload.scales or len(pair.known) in {0, few}]
        for pair in chosen:
            measure(pair, workload, fortio, -1, WARM_UP_SECONDS)
        for number in range(2 * options.pairs):
            say(f"{workload.name}: round {number + 1} of {2 * options.pairs}")
            samples += [measure(pair, workload, fortio, number, options.seconds) for pair in order(chosen, number)]
    return samples


def is_weighed(pair: Pair, options: argparse.Namespace) -> bool:
    """Whether idle connections are weighed in it: they cost the same with many Services."""
    return pair.has_proxies and "connections" in options.only and len(pair.known) == min(options.services)


def weigh_idle(pair: Pair) -> tuple[float, float]:
    """KiB of an idle HTTP and an idle TCP connection; before any run, whose freed memory would hide them."""
    say(f"idle connections: {pair.name}")
    return idle_kib(pair, HTTP), idle_kib(pair, PLAIN)


def facts(options: argparse.Namespace, started: float) -> dict[str, Any]:
    """What one must know to read the figures."""
    versions = {tool.name: tool.version for tool in lock.load().select(list(TOOLS))}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    return {
        "command": f"python -m benchmarks.dataplane {' '.join(sys.argv[1:])}".strip(),
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "kernel": platform.release(),
        "congestion_control": Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "tools": versions,
        "services": options.services,
        "seconds_per_run": options.seconds,
        "rounds": 2 * options.pairs,
        "took_seconds": round(time.monotonic() - started),
    }


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Build the rig, run, print."""
    options = parse()
    started = time.monotonic()
    if not binary.is_root():
        print("benchmarks.dataplane: network namespaces and cgroups take root", file=sys.stderr)
        return 1
    try:
        status = tools.make(lock.load().select(list(TOOLS)), paths.store())
        if status:
            return status
        # The end of the rig runs, whoever stops it; only now, because the tools' event loop has set its own handler back.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        workloads = select(options.only)
        with Rig(binary.ensure(), cores()) as rig:
            pairs = build(rig, options)
            idle = {pair: weigh_idle(pair) for pair in pairs if is_weighed(pair, options)}
            samples = run(pairs, workloads, options)
            memory = [
                Memory(pair.name, len(pair.known), pair.proxies.pss_mib(), *idle.get(pair, ()))
                for pair in pairs
                if pair.has_proxies
            ]
    except KeyboardInterrupt:
        return 130
    except (ToolError, RuntimeError, TimeoutError, AssertionError) as error:
        print(f"benchmarks.dataplane: {error}", file=sys.stderr)
        return 1
    summaries = summarise(samples)
    lines = list(goals.lines(summaries, options.services))
    known = facts(options, started)
    print("\n".join(f"{name}: {value}" for name, value in known.items()) + "\n")
    print(table.render(workloads, summaries, lines, memory))
    if options.json:
        options.json.write_text(table.to_json(known, samples, summaries, lines, memory))
    return VOID if any(summary.is_void for summary in summaries.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
