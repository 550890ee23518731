"""Results as text for people, and as JSON for programs. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.dataplane import results
from benchmarks.dataplane.goals import Line
from benchmarks.dataplane.results import DIRECT, Key, Measure, Memory, Sample, Summary
from benchmarks.dataplane.workloads import Unit, Workload

_PER: dict[Unit, str] = {"request": "request", "connection": "connection", "byte": "GB"}


def render(
    workloads: Iterable[Workload],
    summaries: Mapping[Key, Summary],
    lines: Iterable[Line],
    memory: Sequence[Memory],
) -> str:
    """The whole output: a table per workload, the ratios, the memory, and why something is void."""
    blocks = [block for workload in workloads if (block := _workload(workload, summaries))]
    blocks.append(_ratios(list(lines)))
    blocks.append("memory of both proxies after the runs (PSS, without an agent)\n" + _memory(memory))
    blocks += _voids(summaries.values())
    return "\n\n".join(blocks)


def to_json(
    facts: Mapping[str, Any],
    samples: Iterable[Sample],
    summaries: Mapping[Key, Summary],
    lines: Iterable[Line],
    memory: Sequence[Memory],
) -> str:
    """Everything that was measured."""
    document = {
        "facts": dict(facts),
        "ratios": [asdict(line) for line in lines],
        "memory": [asdict(row) for row in memory],
        "void": [
            {**asdict(summary.key), "faults": summary.faults} for summary in summaries.values() if summary.is_void
        ],
        "samples": [
            {**asdict(sample), "cpu_ms_per_operation": sample.cpu_ms, "rate": sample.rate} for sample in samples
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _workload(workload: Workload, summaries: Mapping[Key, Summary]) -> str:
    chosen = [summary for summary in summaries.values() if summary.key.workload == workload.name]
    if not chosen:
        return ""
    per = _PER[workload.unit]
    head = ["subject", "services", f"CPU-ms/{per}", "spread", f"{per}s/s", "p50 ms", "p90 ms", "p99 ms"]
    head += ["added p50", "added p90", "added p99", "tunnels/1000", "driver", ""]
    direct = next((summary for summary in chosen if summary.key.subject == DIRECT), None)
    rows = [_row(summary, direct) for summary in chosen]
    return f"{workload.name}: {workload.title}\n{columns(head, rows)}"


def _row(summary: Summary, direct: Summary | None) -> list[str]:
    def shown(measure: Measure, form: str = ".3f") -> str:
        return format(summary.figure(measure).median, form)

    is_direct = summary.key.subject == DIRECT
    percentiles: list[Measure] = [lambda s: s.p50_ms, lambda s: s.p90_ms, lambda s: s.p99_ms]
    has_times = any(sample.p50_ms for sample in summary.samples)
    times = [shown(measure) if has_times else "-" for measure in percentiles]
    is_compared = direct is not None and not is_direct and has_times
    more = [
        shown(results.added(measure, direct)) if is_compared and direct is not None else "-" for measure in percentiles
    ]
    return [
        summary.key.subject,
        "-" if is_direct else str(summary.key.services),
        "-" if is_direct else shown(lambda s: s.cpu_ms, ".4f" if summary.samples[0].unit != "byte" else ".0f"),
        f"{summary.figure(results.cost).spread:.0%}",
        shown(lambda s: s.rate, ".0f" if summary.samples[0].unit != "byte" else ".2f"),
        *times,
        *more,
        "-" if is_direct or summary.samples[0].unit == "byte" else shown(_tunnels, ".1f"),
        shown(lambda s: s.driver_share, ".0%"),
        "VOID" if summary.is_void else "",
    ]


def _tunnels(sample: Sample) -> float:
    return 1000 * sample.connections / sample.operations if sample.operations else 0.0


def _ratios(lines: Sequence[Line]) -> str:
    verdicts = {True: "reached", False: "MISSED", None: ""}
    rows = [
        [
            line.workload,
            line.what,
            line.against,
            f"{line.value:.2f}",
            f"{line.spread:.0%}",
            line.goal,
            "VOID" if line.is_void else verdicts[line.reached],
        ]
        for line in lines
    ]
    return "ratios\n" + columns(["workload", "measure", "of", "ratio", "spread", "goal", ""], rows)


def _memory(memory: Sequence[Memory]) -> str:
    rows = [
        [row.subject, str(row.services), f"{row.pss_mib:.1f}", _kib(row.idle_http_kib), _kib(row.idle_tcp_kib)]
        for row in memory
    ]
    return columns(["subject", "services", "MiB", "KiB per idle HTTP connection", "KiB per idle TCP connection"], rows)


def _kib(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _voids(summaries: Iterable[Summary]) -> list[str]:
    found = [
        f"void: {summary.key.workload}, {summary.key.subject}, {summary.key.services} services: {fault}"
        for summary in summaries
        for fault in summary.faults
    ]
    return ["\n".join(found)] if found else []


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: words to the left, figures to the right."""
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    is_text = [not any(row[place][:1].isdigit() for row in rows) for place in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(row, widths, is_text, strict=True)
        ).rstrip()
        for row in table
    )
