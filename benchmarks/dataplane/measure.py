"""One run: load on one pair, and what it cost."""

import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.dataplane import accounts
from benchmarks.dataplane.processes import in_pod
from benchmarks.dataplane.reports import Report, ReportError, parse_bulk, parse_fortio
from benchmarks.dataplane.results import Sample
from benchmarks.dataplane.subjects import Pair
from benchmarks.dataplane.workloads import Port, Workload, fortio_arguments

# Beyond its own time, for connections that hang.
GRACE_SECONDS = 30.0
BULK = Path(__file__).resolve().parent / "bulk.py"
IDLE = Path(__file__).resolve().parent / "idle.py"
IDLE_CONNECTIONS = 400


class LoadError(RuntimeError):
    """A load generator failed."""


def measure(pair: Pair, workload: Workload, fortio: Path, number: int, seconds: float) -> Sample:
    """Run *workload* for *seconds* in round *number*; a generator that fails makes a sample without operations.

    Raises RuntimeError when a process of the pair has ended.
    """
    pair.children.check()
    cpu, driver = pair.proxies.cpu_seconds(), pair.applications.cpu_seconds()
    throttled, stolen = pair.proxies.throttled(), accounts.stolen_seconds()
    opened = _opened(pair)
    started = time.monotonic()
    try:
        report, generator_cpu = _generate(pair, workload, fortio, seconds)
    except (LoadError, ReportError) as error:
        print(f"{workload.name}, {pair.name}: {error}", file=sys.stderr)
        report, generator_cpu = Report(0, seconds, failures=0), 0.0
    elapsed = time.monotonic() - started
    return Sample(
        subject=pair.name,
        services=len(pair.known),
        workload=workload.name,
        unit=workload.unit,
        round=number,
        operations=report.operations,
        seconds=report.seconds,
        cpu_seconds=pair.proxies.cpu_seconds() - cpu,
        driver_share=(pair.applications.cpu_seconds() - driver + generator_cpu) / elapsed,
        failures=report.failures,
        throttled=pair.proxies.throttled() - throttled,
        stolen_share=(accounts.stolen_seconds() - stolen) / (elapsed * (os.cpu_count() or 1)),
        connections=max(0, _opened(pair) - opened - report.sockets),
        p50_ms=report.p50_ms,
        p90_ms=report.p90_ms,
        p99_ms=report.p99_ms,
    )


def idle_kib(pair: Pair, port: Port) -> float:
    """KiB that one more idle connection to *port* costs in both proxies together. Raises LoadError."""
    address, number = pair.place(port)
    program = [sys.executable, str(IDLE), address, str(number), str(IDLE_CONNECTIONS)]
    before = pair.proxies.pss_mib()
    with subprocess.Popen(
        in_pod(pair.client, pair.cores.driver, None, program), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            is_ready, _, _ = select.select([child.stdout], [], [], GRACE_SECONDS)
            if not is_ready or child.stdout.readline() != b"ready\n":
                raise LoadError(f"{IDLE_CONNECTIONS} idle connections to port {number} of {pair.name} cannot be opened")
            return (pair.proxies.pss_mib() - before) * 1024 / IDLE_CONNECTIONS
        finally:
            child.kill()


def _opened(pair: Pair) -> int:
    with pair.client.inside():
        return accounts.opened_connections()


def _generate(pair: Pair, workload: Workload, fortio: Path, seconds: float) -> tuple[Report, float]:
    address, port = pair.place(workload.port)
    if workload.is_bulk:
        text, cpu = _run(pair, [sys.executable, str(BULK), "source", address, str(port), str(seconds)], seconds)
        return parse_bulk(text), cpu
    options = fortio_arguments(workload, f"{address}:{port}", seconds)
    text, cpu = _run(pair, [str(fortio), "load", *options], seconds)
    return parse_fortio(text, workload.connections), cpu


def _run(pair: Pair, command: Sequence[str], seconds: float) -> tuple[str, float]:
    line = in_pod(pair.client, pair.cores.driver, None, command)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=seconds + GRACE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"{command[0]} for {pair.name} did not end within {seconds + GRACE_SECONDS:.0f} s") from error
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode and not done.stdout:
        raise LoadError(f"{command[0]} for {pair.name}: {done.stderr[-400:]}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
