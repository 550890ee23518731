"""The arithmetic of the data plane's benchmark: what voids a run, what a median hides, what is divided by what."""

import dataclasses

import pytest

from benchmarks.dataplane import results
from benchmarks.dataplane.goals import MEASURES, lines
from benchmarks.dataplane.results import Key, Sample

GOOD = Sample("mesh", 1, "http1", "request", 0, operations=1000, seconds=2.0, cpu_seconds=0.1, driver_share=0.2)


def sample(**changes: object) -> Sample:
    return dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]


def rounds(*costs: float, **changes: object) -> list[Sample]:
    """One sample per round, each with so many CPU milliseconds per request."""
    return [sample(round=number, cpu_seconds=cost, **changes) for number, cost in enumerate(costs)]


def test_cost_and_rate_are_per_operation_or_per_gigabyte() -> None:
    assert GOOD.cpu_ms == pytest.approx(0.1)
    assert GOOD.rate == pytest.approx(500)
    bulk = sample(unit="byte", operations=3_000_000_000, cpu_seconds=1.5)
    assert bulk.cpu_ms == pytest.approx(500)
    assert bulk.rate == pytest.approx(1.5)


def test_a_good_run_has_no_fault() -> None:
    assert results.faults(GOOD) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"operations": 0}, "nothing was answered"),
        ({"failures": 3}, "3 wrong answers"),
        ({"driver_share": 0.81}, "generator and application took 81% of their core"),
        ({"throttled": 2}, "the proxies were throttled 2 times"),
        ({"stolen_share": 0.06}, "the host took 6% of the machine"),
    ],
)
def test_what_voids_a_run(changes: dict[str, object], fault: str) -> None:
    assert results.faults(sample(**changes)) == [fault]


def test_without_proxies_the_generator_may_be_the_limit() -> None:
    assert results.faults(sample(subject="direct", driver_share=0.99)) == []


def test_a_key_is_void_when_its_rounds_lie_apart() -> None:
    [steady] = results.summarise(rounds(0.100, 0.104, 0.109)).values()
    assert not steady.is_void
    [apart] = results.summarise(rounds(0.100, 0.104, 0.112)).values()
    assert apart.faults == ("the rounds lie 12% apart",)


def test_a_fault_names_its_round() -> None:
    [summary] = results.summarise([GOOD, sample(round=1, failures=1)]).values()
    assert summary.faults == ("round 2: 1 wrong answers",)


def test_the_spread_of_five_leaves_out_the_outermost() -> None:
    assert results.figure([1.0, 2.0, 2.0, 2.0, 9.0]) == results.Figure(2.0, 0.0)
    assert results.figure([1.0, 2.0, 9.0]) == results.Figure(2.0, 4.0)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that gets slower during the run does not change them."""
    found = results.summarise(rounds(0.1, 0.2, 0.4) + rounds(0.2, 0.4, 0.8, subject="envoy"))
    ours, rival = (found[Key(name, 1, "http1")] for name in ("mesh", "envoy"))
    measure = MEASURES["CPU per operation"]
    assert results.ratio(ours, rival, measure, measure) == results.Figure(0.5, 0.0)


def test_added_time_is_what_the_proxies_add() -> None:
    direct = rounds(0.1, 0.1, subject="direct", services=0, p50_ms=0.2)
    found = results.summarise(direct + rounds(0.1, 0.1, p50_ms=0.7) + rounds(0.1, 0.1, subject="envoy", p50_ms=1.2))
    [line] = [line for line in lines(found, [1]) if line.what == "added p50" and line.against == "mesh / envoy"]
    assert line.value == pytest.approx(0.5)
    assert (line.goal, line.reached, line.is_void) == ("≤ 0.70", True, False)


def test_a_missed_goal_is_said_and_a_void_one_is_not_judged() -> None:
    both = rounds(0.9, 0.9) + rounds(1.0, 1.0, subject="envoy")
    [missed] = lines(results.summarise(both), [1])
    assert missed.value == pytest.approx(0.9)
    assert missed.reached is False
    [void] = lines(results.summarise([*both, sample(round=2, failures=1)]), [1])
    assert (void.reached, void.is_void) == (None, True)


def test_many_services_are_compared_with_few() -> None:
    found = results.summarise(rounds(1.0, 1.0) + rounds(1.2, 1.2, services=200))
    [line] = lines(found, [1, 200])
    assert (line.what, line.against) == ("CPU per operation, 200 / 1 services", "mesh")
    assert line.value == pytest.approx(1.2)
    assert (line.goal, line.reached) == ("≤ 1.10", False)
