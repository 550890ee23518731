"""`make memory`: what every process of the mesh holds, as PSS and USS, against the aims (design 12).

PSS counts a page that several processes share in equal parts; USS counts only the pages that nobody else has. A sidecar is
the sum of its container's processes. Needs root on the machine that runs the cluster's nodes. Exit status 1 when an aim is missed.
"""

import argparse
import os
import re
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.tools import paths
from mesh.api import names
from samples.kubectl import Kubectl, KubectlError

MIB = 1024.0
AIMS_MIB = {names.SIDECAR: 45.0, names.CONTROLLER: 80.0}
GROWTH_MIB = 1.0
_SIZE = re.compile(r"^(Pss|Private_Clean|Private_Dirty|Private_Hugetlb):\s+(\d+) kB$", re.MULTILINE)
_NGINX = re.compile(r"^nginx: (\w+) process")
_AGENT = "mesh.sidecar"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a container; sizes in MiB."""

    pod: str
    container: str
    role: str
    pid: int
    pss: float
    uss: float


@dataclass(frozen=True, slots=True)
class Container:
    """All processes of one container."""

    pod: str
    name: str
    processes: tuple[Process, ...]

    @property
    def pss(self) -> float:
        """MiB, shared pages in parts."""
        return sum(process.pss for process in self.processes)

    @property
    def uss(self) -> float:
        """MiB that would be free if the container were gone."""
        return sum(process.uss for process in self.processes)


def measure(kubectl: Kubectl) -> list[Container]:
    """Return every container of the control plane, and every sidecar. Raises KubectlError."""
    wanted = dict(_wanted(kubectl.get("pods", "--all-namespaces")["items"]))
    found: dict[str, list[Process]] = {identifier: [] for identifier in wanted}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                group = (place / "cgroup").read_text()
                identifier = next((one for one in wanted if one in group), "")
                if identifier:
                    found[identifier].append(_process(place, *wanted[identifier]))
            except (FileNotFoundError, ProcessLookupError):  # it ended while we looked
                continue
    return [
        Container(*wanted[one], tuple(sorted(rows, key=lambda row: row.pid))) for one, rows in found.items() if rows
    ]


def _wanted(pods: Iterable[dict[str, Any]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Container id, and the pod's and container's names."""
    for pod in pods:
        metadata = pod["metadata"]
        of_mesh = metadata.get("labels", {}).get(names.LABEL_PART_OF) == names.PART_OF
        status = pod["status"]
        for row in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            if "running" in row["state"] and (of_mesh or row["name"] == names.SIDECAR):
                name = f"{metadata['namespace']}/{metadata['name']}"
                yield row["containerID"].rpartition("/")[2], (name, row["name"])


def _process(place: Path, pod: str, container: str) -> Process:
    sizes = {key: int(value) / MIB for key, value in _SIZE.findall((place / "smaps_rollup").read_text())}
    uss = sum(value for key, value in sizes.items() if key != "Pss")
    line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return Process(pod, container, _role(line), int(place.name), sizes.get("Pss", 0.0), uss)


def _role(line: str) -> str:
    """A short name for a command line."""
    nginx = _NGINX.match(line)
    if nginx:
        return f"NGINX {nginx[1]}"
    program = Path(line.partition(" ")[0]).name
    if program.startswith("python"):
        return "agent" if _AGENT in line else line.partition(" -m ")[2].partition(" ")[0] or program
    return program


def report(containers: list[Container]) -> str:
    """A table: the control plane by process, sidecars by role (median over all, largest)."""
    rows = [("WHAT", "PROCESS", "PSS MiB", "USS MiB")]
    for one in sorted(containers, key=lambda one: one.pod):
        if one.name != names.SIDECAR:
            rows += [(one.name, row.role, f"{row.pss:.1f}", f"{row.uss:.1f}") for row in one.processes]
    sidecars = [one for one in containers if one.name == names.SIDECAR]
    for role in sorted({row.role for one in sidecars for row in one.processes}):
        same = [row for one in sidecars for row in one.processes if row.role == role]
        rows.append((f"{names.SIDECAR} (median)", role, *_medians(same)))
    if sidecars:
        largest = max(sidecars, key=lambda one: one.pss)
        rows.append((f"{names.SIDECAR} (median of {len(sidecars)})", "all", *_medians(sidecars)))
        rows.append((f"{names.SIDECAR} (largest)", f"all, {largest.pod}", f"{largest.pss:.1f}", f"{largest.uss:.1f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _medians(things: list[Process] | list[Container]) -> tuple[str, str]:
    return f"{statistics.median(one.pss for one in things):.1f}", f"{statistics.median(one.uss for one in things):.1f}"


def typical(containers: list[Container]) -> dict[str, float]:
    """The PSS that is held against each aim, in MiB: the median sidecar, the largest controller."""
    sizes = {name: [one.pss for one in containers if one.name == name] for name in AIMS_MIB}
    found = {}
    if sizes[names.SIDECAR]:
        found[names.SIDECAR] = statistics.median(sizes[names.SIDECAR])
    if sizes[names.CONTROLLER]:
        found[names.CONTROLLER] = max(sizes[names.CONTROLLER])
    return found


def missed(containers: list[Container]) -> list[str]:
    """One line per aim that is not met."""
    return [
        f"{name}: {size:.1f} MiB PSS, aim at most {AIMS_MIB[name]:.0f}"
        for name, size in typical(containers).items()
        if size > AIMS_MIB[name]
    ]


def growth(before: list[Container], after: list[Container]) -> dict[str, float]:
    """MiB of USS that the containers which are in both grew by: the largest growth of each name."""
    old = {(one.pod, one.name): one.uss for one in before}
    grown: dict[str, float] = {}
    for one in after:
        if (one.pod, one.name) in old:
            grown[one.name] = max(grown.get(one.name, float("-inf")), one.uss - old[one.pod, one.name])
    return grown


def _watch(kubectl: Kubectl, minutes: tuple[float, float]) -> list[str]:
    """Measure at both times and print what grew between them; return what grew too much."""
    began = time.monotonic()
    measured = []
    for minute in minutes:
        time.sleep(max(0.0, began + minute * 60 - time.monotonic()))
        measured.append(measure(kubectl))
    grown = growth(*measured)
    print(f"growth of USS from minute {minutes[0]:g} to minute {minutes[1]:g}, the largest of each:")
    for name, size in sorted(grown.items()):
        print(f"  {name}: {size:+.2f} MiB")
    return [
        f"{name} grew by {grown[name]:.2f} MiB, aim under {GROWTH_MIB:g}"
        for name in AIMS_MIB
        if grown.get(name, 0.0) >= GROWTH_MIB
    ]


def main() -> int:
    """Print the table; 0 when every aim is met."""
    parser = argparse.ArgumentParser(prog="python -m scripts.memory", description=__doc__)
    parser.add_argument("--cluster", default="dev", help="an embedded cluster")
    parser.add_argument(
        "--watch", nargs=2, type=float, metavar=("FROM", "TO"), help="minutes from now: growth between the two"
    )
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the memory of other users' processes is seen by root only")
    kubectl = Kubectl(paths.state_root(options.cluster) / "kubeconfig")
    try:
        wrong = _watch(kubectl, tuple(options.watch)) if options.watch else []
        containers = measure(kubectl)
    except KubectlError as error:
        print(f"memory: {error}", file=sys.stderr)
        return 1
    print(report(containers))
    wrong += missed(containers)
    for line in wrong:
        print(f"memory: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
