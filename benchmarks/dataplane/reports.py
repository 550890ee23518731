"""What the load generators print, as values. Pure."""

import json
from dataclasses import dataclass
from typing import Any

# fortio names the gRPC health status, or HTTP's code, of each answer.
_GOOD = {"200", "SERVING"}
_PERCENTILES = (50, 90, 99)


class ReportError(ValueError):
    """A generator printed something else than its report."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run as its generator saw it; times in milliseconds, 0 where it measures none."""

    operations: int
    seconds: float
    failures: int
    sockets: int = 0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0


def parse_fortio(text: str, connections: int) -> Report:
    """Read the JSON of ``fortio load``; *connections* were asked for (gRPC reports none). Raises ReportError."""
    try:
        document: dict[str, Any] = json.loads(text)
        histogram = document["DurationHistogram"]
        found = {row["Percentile"]: float(row["Value"]) * 1000 for row in histogram["Percentiles"] or []}
        codes: dict[str, int] = document["RetCodes"]
        good = sum(count for code, count in codes.items() if code in _GOOD)
        p50, p90, p99 = (found.get(percentile, 0.0) for percentile in _PERCENTILES)
        return Report(
            operations=int(histogram["Count"]),
            seconds=float(document["ActualDuration"]) / 1e9,
            failures=sum(codes.values()) - good,
            sockets=int(document.get("SocketCount", connections)),
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReportError(f"fortio: got {text[:200]!r}, takes the JSON of `fortio load -json -` ({error!r})") from error


def parse_bulk(text: str) -> Report:
    """Read what ``benchmarks.dataplane.bulk source`` prints. Raises ReportError."""
    try:
        document = json.loads(text)
        sent, received = int(document["sent"]), int(document["received"])
        return Report(received, float(document["seconds"]), failures=int(sent != received), sockets=1)
    except (ValueError, KeyError, TypeError) as error:
        raise ReportError(f"bulk: got {text[:200]!r}, takes sent, received and seconds as JSON ({error!r})") from error
