"""From runs to figures: medians, spreads, what makes a run void, ratios between subjects. Pure."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.dataplane.workloads import BYTES_PER_GB, Unit

GENERATOR_LIMIT = 0.80
STOLEN_LIMIT = 0.05
SPREAD_LIMIT = 0.10
DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one workload against one subject.

    *cpu_seconds* are those of both proxies, *driver_share* the part of its core that generator and application took,
    *stolen_share* the part of the machine that its host took away, *connections* those between the proxies.
    """

    subject: str
    services: int
    workload: str
    unit: Unit
    round: int
    operations: int
    seconds: float
    cpu_seconds: float
    driver_share: float
    failures: int = 0
    throttled: int = 0
    stolen_share: float = 0.0
    connections: int = 0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def amount(self) -> float:
        """Operations, or gigabytes (10⁹ bytes)."""
        return self.operations / BYTES_PER_GB if self.unit == "byte" else float(self.operations)

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of both proxies per operation, or per gigabyte."""
        return 1000 * self.cpu_seconds / self.amount if self.operations else 0.0

    @property
    def rate(self) -> float:
        """Operations, or gigabytes, per second."""
        return self.amount / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """PSS of both proxies of a subject after the runs, and what an idle connection adds to it, by HTTP and by TCP (None: not measured)."""

    subject: str
    services: int
    pss_mib: float
    idle_http_kib: float | None = None
    idle_tcp_kib: float | None = None


Measure = Callable[[Sample], float]


def faults(sample: Sample) -> list[str]:
    """Why a run does not count; empty when it does."""
    found = []
    if not sample.operations:
        found.append("nothing was answered")
    if sample.failures:
        found.append(f"{sample.failures} wrong answers")
    # Without proxies nothing else limits a closed loop than the generator itself.
    if sample.subject != DIRECT and sample.driver_share > GENERATOR_LIMIT:
        found.append(f"generator and application took {sample.driver_share:.0%} of their core")
    if sample.throttled:
        found.append(f"the proxies were throttled {sample.throttled} times")
    if sample.stolen_share > STOLEN_LIMIT:
        found.append(f"the host took {sample.stolen_share:.0%} of the machine")
    return found


@dataclass(frozen=True, slots=True)
class Figure:
    """The median over the rounds, and how far they lie apart: (largest - smallest) / median, without the outermost one on each
    side when there are five or more.
    """

    median: float
    spread: float


def figure(values: Sequence[float]) -> Figure:
    """Median and spread of *values*, which are not empty."""
    ordered = sorted(values)
    kept = ordered[1:-1] if len(ordered) >= 5 else ordered
    median = statistics.median(ordered)
    return Figure(median, (kept[-1] - kept[0]) / median if median else 0.0)


@dataclass(frozen=True, slots=True)
class Key:
    """What is compared: a subject with so many services, under one workload."""

    subject: str
    services: int
    workload: str


@dataclass(frozen=True, slots=True)
class Summary:
    """All rounds of one key."""

    key: Key
    samples: tuple[Sample, ...]
    faults: tuple[str, ...]

    @property
    def is_void(self) -> bool:
        """Whether its figures count for nothing."""
        return bool(self.faults)

    def figure(self, measure: Measure) -> Figure:
        """One measure over the rounds."""
        return figure([measure(sample) for sample in self.samples])


def cost(sample: Sample) -> float:
    """What a workload is judged by: CPU per operation of the proxies, and without proxies the rate."""
    return sample.rate if sample.subject == DIRECT else sample.cpu_ms


def summarise(samples: Iterable[Sample]) -> dict[Key, Summary]:
    """Group the samples; a key is void when one of its runs is, or when its cost varies by more than SPREAD_LIMIT."""
    grouped: dict[Key, list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(Key(sample.subject, sample.services, sample.workload), []).append(sample)
    return {key: _summary(key, rows) for key, rows in grouped.items()}


def _summary(key: Key, rows: list[Sample]) -> Summary:
    found = [f"round {row.round + 1}: {fault}" for row in rows for fault in faults(row)]
    spread = figure([cost(row) for row in rows]).spread
    if spread > SPREAD_LIMIT:
        found.append(f"the rounds lie {spread:.0%} apart")
    return Summary(key, tuple(rows), tuple(found))


def added(measure: Measure, direct: Summary) -> Measure:
    """*measure* less what the same round took without proxies."""
    base = {sample.round: measure(sample) for sample in direct.samples}
    return lambda sample: measure(sample) - base[sample.round]


def ratio(ours: Summary, rival: Summary, ours_measure: Measure, rival_measure: Measure) -> Figure | None:
    """The median over the rounds of ours divided by the rival's in the same round; None when they have none in common."""
    theirs = {sample.round: rival_measure(sample) for sample in rival.samples}
    pairs = [
        ours_measure(sample) / theirs[sample.round]
        for sample in ours.samples
        if theirs.get(sample.round, 0.0) > 0 and sample.operations
    ]
    return figure(pairs) if pairs else None
