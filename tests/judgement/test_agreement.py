"""The module judges as the reference does: no difference on random policies and requests."""

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.decide.access import judge_access
from mesh.decide.path import BadTargetError
from mesh.decide.request import Request
from mesh.decide.split import direct, services_of
from mesh.model.sidecar_config import MtlsMode, ServicePort, SidecarConfig
from tests.judgement.judge import Judge
from tests.oracle.test_oracle import request_lists
from tests.property import policies

pytestmark = [
    pytest.mark.spec("7.agreement"),
    pytest.mark.parametrize(
        "examples",
        [
            pytest.param(400, id="short"),
            pytest.param(25_000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
        ],
    ),
]


def is_judged(request: Request) -> bool:
    """Whether NGINX asks anybody at all."""
    try:
        return bool(request.path)
    except BadTargetError:
        return False


@pytest.mark.spec("7.access")
def test_the_same_callers_come_in(library: ctypes.CDLL, examples: int) -> None:
    @settings(max_examples=examples)
    @given(policies.pods, request_lists)
    def agree(pod: SidecarConfig, requests: list[Request]) -> None:
        module = Judge(library, pod)
        for request in filter(is_judged, requests):
            assert module.access(request) == judge_access(pod, request).reason_id

    agree()


@pytest.mark.spec("7.split", "7.breaker")
def test_the_same_services_answer(library: ctypes.CDLL, examples: int) -> None:
    """For the same draws; the errors of a call count for the same circuits."""

    @settings(max_examples=examples)
    @given(policies.services, request_lists, policies.open_circuits, st.integers(0, 1000))
    def agree(ports: tuple[ServicePort, ...], requests: list[Request], failed: list[str], draw: int) -> None:
        caller = SidecarConfig("example.org", MtlsMode.OFF, 0, "warn", "default", "allow", services=ports)
        module = Judge(library, caller)
        for policy in failed:
            module.open_circuit(policy)
        breakers = [port.breaker for port in ports if port.breaker]
        # Those that never open are no lines of the document.
        real = {each.policy for each in breakers if each.errors and each.timeout_seconds}
        for request in filter(is_judged, requests):
            direction = direct(services_of(ports), ("a/a", 80), request, lambda below: draw % below, real & set(failed))
            answer = f"!{direction.refused_by}" if direction.refused_by else direction.service[0]
            assert module.direct(request, draw) == " ".join(
                [answer, *(guard for guard in direction.guards if guard in real)]
            )

    agree()
