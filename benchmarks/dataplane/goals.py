"""What the data plane is to reach, as ratios to its rivals in the same run. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.dataplane import results
from benchmarks.dataplane.results import DIRECT, Key, Measure, Sample, Summary

MESH = "mesh"
BARE = "bare"
ENVOY = "envoy"


@dataclass(frozen=True, slots=True)
class Goal:
    """*what* of the mesh, divided by the rival's, is to be at most (or at least) *limit*; added: less what direct takes."""

    workload: str
    what: str
    rival: str
    limit: float | None
    at_most: bool = True
    added: bool = False


MEASURES: dict[str, Measure] = {
    "CPU per operation": lambda sample: sample.cpu_ms,
    "rate": lambda sample: sample.rate,
    "operations per CPU-second": lambda sample: 1000 / sample.cpu_ms if sample.cpu_ms else 0.0,
    "p50": lambda sample: sample.p50_ms,
    "p90": lambda sample: sample.p90_ms,
    "p99": lambda sample: sample.p99_ms,
}
GOALS = (
    Goal("http1", "CPU per operation", ENVOY, 0.60),
    Goal("http1", "CPU per operation", BARE, 1.25),
    Goal("http1", "p50", ENVOY, 0.70, added=True),
    Goal("http1", "p90", ENVOY, None, added=True),
    Goal("http1", "p99", ENVOY, 0.90, added=True),
    Goal("http1", "p50", BARE, None, added=True),
    Goal("http1-max", "rate", ENVOY, None, at_most=False),
    Goal("http1-max", "rate", BARE, None, at_most=False),
    Goal("http1-max", "CPU per operation", ENVOY, None),
    Goal("http1-max", "CPU per operation", BARE, None),
    Goal("grpc", "operations per CPU-second", ENVOY, 1.0, at_most=False),
    Goal("grpc", "operations per CPU-second", BARE, None, at_most=False),
    Goal("grpc", "p50", ENVOY, None, added=True),
    Goal("grpc", "p99", ENVOY, None, added=True),
    Goal("grpc-max", "operations per CPU-second", ENVOY, 1.0, at_most=False),
    Goal("grpc-max", "rate", ENVOY, None, at_most=False),
    Goal("tcp-bulk", "rate", ENVOY, 1.0, at_most=False),
    Goal("tcp-bulk", "rate", BARE, None, at_most=False),
    Goal("tcp-bulk", "CPU per operation", ENVOY, 0.90),
    Goal("connections-http", "CPU per operation", ENVOY, None),
    Goal("connections-http", "CPU per operation", BARE, None),
    Goal("connections-tls", "operations per CPU-second", ENVOY, 1.0, at_most=False),
    Goal("connections-tls", "operations per CPU-second", BARE, None, at_most=False),
)
MANY_SERVICES_LIMIT = 1.10
HANDSHAKES_LIMIT = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table of ratios; *reached* is None without a goal, or when a side is void."""

    workload: str
    what: str
    against: str
    value: float
    spread: float
    goal: str
    reached: bool | None
    is_void: bool


def lines(summaries: Mapping[Key, Summary], services: list[int]) -> Iterator[Line]:
    """Every ratio that the summaries allow: against the rivals, and against ourselves with the fewest services."""
    few = min(services)
    for goal in GOALS:
        ours, rival = (summaries.get(Key(name, few, goal.workload)) for name in (MESH, goal.rival))
        direct = summaries.get(Key(DIRECT, 0, goal.workload))
        if ours is not None and rival is not None and not (goal.added and direct is None):
            yield from _against_rival(goal, ours, rival, direct)
    for key, summary in summaries.items():
        base = summaries.get(Key(key.subject, few, key.workload))
        if key.services != few and base is not None and key.subject != DIRECT:
            yield from _against_few(summary, base)


def _against_rival(goal: Goal, ours: Summary, rival: Summary, direct: Summary | None) -> Iterator[Line]:
    measure = MEASURES[goal.what]
    if goal.added and direct is not None:
        measure = results.added(measure, direct)
    found = results.ratio(ours, rival, measure, measure)
    if found is None:
        return
    sign = "≤" if goal.at_most else "≥"
    text = "" if goal.limit is None else f"{sign} {goal.limit:.2f}"
    is_void = ours.is_void or rival.is_void
    reached = None
    if goal.limit is not None and not is_void:
        reached = found.median <= goal.limit if goal.at_most else found.median >= goal.limit
    what = f"added {goal.what}" if goal.added else goal.what
    yield Line(goal.workload, what, f"{MESH} / {goal.rival}", found.median, found.spread, text, reached, is_void)


def _against_few(many: Summary, few: Summary) -> Iterator[Line]:
    found = results.ratio(many, few, _cpu_ms, _cpu_ms)
    if found is None:
        return
    is_void = many.is_void or few.is_void
    is_ours = many.key.subject == MESH
    yield Line(
        many.key.workload,
        f"CPU per operation, {many.key.services} / {few.key.services} services",
        many.key.subject,
        found.median,
        found.spread,
        f"≤ {MANY_SERVICES_LIMIT:.2f}" if is_ours else "",
        found.median <= MANY_SERVICES_LIMIT if is_ours and not is_void else None,
        is_void,
    )


def _cpu_ms(sample: Sample) -> float:
    return sample.cpu_ms
