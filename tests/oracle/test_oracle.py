"""The reference against a second writing of its rules: no difference on random policies and requests."""

from dataclasses import asdict, fields
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.decide.access import judge_access
from mesh.decide.breaker import CLOSED, is_open, note_error
from mesh.decide.limit import Bucket, limit_for, take
from mesh.decide.path import BadTargetError, normalised_path
from mesh.decide.request import Request
from mesh.decide.split import distribution, services_of
from mesh.model.policy import Breaker, Limit
from mesh.model.sidecar_config import ServicePort, SidecarConfig
from tests.oracle import oracle
from tests.property import policies

REQUESTS = 4
"""Judged by each policy."""
pytestmark = [
    pytest.mark.spec("7.oracle"),
    pytest.mark.parametrize(
        "examples",
        [
            pytest.param(150, id="short"),
            pytest.param(6_500, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
        ],
    ),
]
request_lists = st.lists(policies.requests, min_size=REQUESTS, max_size=REQUESTS)
times = st.lists(st.sampled_from([0, 1, 7, 99, 100, 500, 1000, 2999, 60_000]), max_size=12).map(accumulate).map(list)


def plain(request: Request) -> dict[str, Any]:
    """A request as the oracle has it: a character for each byte."""
    return {field.name: getattr(request, field.name) for field in fields(request)} | {
        "target": request.target.decode("latin-1"),
        "headers": [(name, value.decode("latin-1")) for name, value in request.headers],
    }


def path_of(request: Request) -> bytes | None:
    try:
        return request.path
    except BadTargetError:
        return None


@pytest.mark.spec("7.path")
def test_paths_are_the_same(examples: int) -> None:
    @settings(max_examples=examples * REQUESTS)
    @given(policies.targets)
    def same(target: bytes) -> None:
        try:
            found = normalised_path(target).decode("latin-1")
        except BadTargetError:
            found = oracle.UNJUDGED
        assert found == oracle.path(target.decode("latin-1"))

    same()


@pytest.mark.spec("7.access")
def test_verdicts_are_the_same(examples: int) -> None:
    @settings(max_examples=examples)
    @given(policies.pods, request_lists)
    def same(pod: SidecarConfig, requests: list[Request]) -> None:
        for request in filter(path_of, requests):
            verdict = judge_access(pod, request)
            expected = oracle.access(asdict(pod), plain(request))
            not_needed = pod.transparent or not pod.access_enforced
            assert (verdict.is_allowed, verdict.reason or "", "" if not_needed else verdict.policy) == expected

    same()


@pytest.mark.spec("7.split", "7.breaker")
def test_directions_are_the_same(examples: int) -> None:
    @settings(max_examples=examples)
    @given(policies.services, request_lists, policies.open_circuits)
    def same(ports: tuple[ServicePort, ...], requests: list[Request], opened: list[str]) -> None:
        indexed = services_of(ports)
        described = {place: asdict(port) for place, port in indexed.items()}
        for request in filter(path_of, requests):
            found: dict[tuple[object, str], object] = {}
            for direction, chance in distribution(indexed, ("a/a", 80), request, opened).items():
                answer = ("" if direction.refused_by else direction.service, direction.refused_by)
                found[answer] = found.get(answer, 0) + chance  # type: ignore[operator]
            assert found == oracle.answers(described, ("a/a", 80), plain(request), opened)

    same()


@pytest.mark.spec("7.breaker")
def test_circuits_open_at_the_same_times(examples: int) -> None:
    @settings(max_examples=examples)
    @given(policies.breakers_of("a/c"), times)
    def same(breaker: Breaker, errors: list[int]) -> None:
        circuit, openings = CLOSED, []
        for now in errors:
            was_open = is_open(circuit, now)
            circuit = note_error(breaker, circuit, now)
            if is_open(circuit, now) and not was_open:
                openings.append(now)
        assert openings == oracle.opened(asdict(breaker), errors)

    same()


@pytest.mark.spec("7.limits")
def test_the_same_limits_hold(examples: int) -> None:
    @settings(max_examples=examples)
    @given(policies.pods, request_lists)
    def same(pod: SidecarConfig, requests: list[Request]) -> None:
        for request in filter(path_of, requests):
            applied = limit_for(pod, request)
            found = (applied.limit.policy, applied.bucket) if applied else None
            assert found == oracle.limited(asdict(pod), plain(request))

    same()


@pytest.mark.spec("7.limits")
def test_requests_wait_equally_long(examples: int) -> None:
    @settings(max_examples=examples)
    @given(policies.limits, times)
    def same(limit: Limit, moments: list[int]) -> None:
        bucket: Bucket | None = None
        found = []
        for now in moments:
            bucket, admission = take(limit, bucket, now)
            found.append(admission.delay_ms)
        assert found == oracle.waits(asdict(limit), moments)

    same()
