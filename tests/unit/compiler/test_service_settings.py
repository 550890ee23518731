"""What the annotations of a Service do (contract 6.balancing, 6.requests)."""

import pytest

from mesh.api.mesh_config import LbMethod
from mesh.compiler.finding import Finding
from mesh.model.sidecar_config import ServicePort
from mesh.model.snapshot import MeshSettings, ServicePortSpec
from tests.unit.compiler.cluster import compiled, namespace, pod, service

HTTP = ServicePortSpec(80, 8080, "http")
GRPC = ServicePortSpec(90, 9090, "grpc")
TCP = ServicePortSpec(5432, 5432, "tcp")
PREFIX = "config.nsm.nginx.com/"
TIMEOUT = "milliseconds, seconds or minutes from 1ms to 1440m, such as 500ms, 2s or 1m"


def compiled_service(
    annotations: dict[str, str], *ports: ServicePortSpec, address: str = "10.0.0.1"
) -> tuple[list[ServicePort], tuple[Finding, ...]]:
    """The ports and findings of Service web with these annotations, named without their prefix."""
    full = {PREFIX + name: value for name, value in annotations.items()}
    view = namespace(pod("web", "10.1.0.1"), service("web", address, *ports, annotations=full))
    compilation = compiled(view, settings=MeshSettings(lb_method=LbMethod.ROUND_ROBIN))
    (config,) = compilation.configs.values()
    return list(config.services), compilation.findings


@pytest.mark.spec("6.balancing")
@pytest.mark.parametrize(
    ("annotation", "expected", "findings"),
    [(None, "round_robin", 0), ("random two", "random two", 0), ("fair", "round_robin", 1), ("", "round_robin", 1)],
)
def test_load_balancing_per_service(annotation: str | None, expected: str, findings: int) -> None:
    """The Service's own method, else the global one; an unknown one is told."""
    (port,), told = compiled_service({} if annotation is None else {"lb-method": annotation}, HTTP)
    assert port.lb_method == expected
    assert len(told) == findings


@pytest.mark.spec("6.requests")
def test_time_out_and_retries_of_requests() -> None:
    """On every port that carries requests, and on no other; nothing is to be told."""
    annotations = {"request-timeout": "1500ms", "retries": "2", "retry-non-idempotent": "true"}
    ports, told = compiled_service(annotations, HTTP, GRPC, TCP)
    assert {port.port: (port.request_timeout_ms, port.retries, port.retry_non_idempotent) for port in ports} == {
        80: (1500, 2, True),
        90: (1500, 2, True),
        5432: (0, 0, False),
    }
    assert told == ()


@pytest.mark.spec("6.requests")
@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("request-timeout", "0", TIMEOUT),
        ("request-timeout", "1h", TIMEOUT),
        *(
            ("request-timeout", text, TIMEOUT)
            for text in ("1e3ms", "٥s", "５s", "1.5s", " 1s", "1S", "s", "", "1m ", "1441m")
        ),
        ("retries", "11", "a whole number from 0 to 10"),
        *(
            ("retries", text, "a whole number from 0 to 10")
            for text in ("٣", "３", "1e1", "01", "+1", " 1", "", "1.0", "many")
        ),
        *(("retry-non-idempotent", text, "true or false") for text in ("True", "1", "", " true")),
        *(
            ("lb-method", text, ", ".join(LbMethod))
            for text in ("Random", "random  two", "least_time=header", "", "round-robin")
        ),
        ("retries", "-1", "a whole number from 0 to 10"),
        ("retry-non-idempotent", "yes", "true or false"),
        ("lb-method", "fair", ", ".join(LbMethod)),
    ],
)
def test_a_wrong_annotation_is_told_and_counts_as_absent(name: str, value: str, takes: str) -> None:
    """The others stay in force."""
    right = {"request-timeout": "2s", "retries": "3", "retry-non-idempotent": "true", "lb-method": "random"}
    (port,), told = compiled_service(right | {name: value}, HTTP)
    message = f'annotation {PREFIX}{name}: got "{value}", takes {takes}; it counts as absent'
    assert Finding("Service", "shop", "web", "InvalidAnnotation", message) in told
    found = (port.request_timeout_ms, port.retries, port.retry_non_idempotent, port.lb_method)
    whole = {"request-timeout": 2000, "retries": 3, "retry-non-idempotent": True, "lb-method": "random"}
    absent = {"request-timeout": 0, "retries": 0, "retry-non-idempotent": False, "lb-method": "round_robin"}
    expected = whole | {name: absent[name]}
    if name == "retries":
        expected["retry-non-idempotent"] = False
    assert found == tuple(expected.values())


@pytest.mark.spec("6.requests")
@pytest.mark.parametrize(
    ("annotations", "port", "address", "told"),
    [
        ({"request-timeout": "1s", "retries": "1"}, TCP, "10.0.0.1", ["request-timeout", "retries"]),
        ({"request-timeout": "1s", "retries": "1"}, GRPC, "10.0.0.1", ["retries"]),
        ({"lb-method": "random"}, TCP, "10.0.0.1", []),
        ({"retry-non-idempotent": "true"}, HTTP, "10.0.0.1", ["retry-non-idempotent"]),
        ({"retry-non-idempotent": "false"}, HTTP, "10.0.0.1", []),
        ({"lb-method": "random", "retries": "1"}, HTTP, "", ["lb-method", "retries"]),
        ({"default-egress-allowed": "true"}, HTTP, "", ["default-egress-allowed"]),
        ({"lb-metod": "random"}, HTTP, "10.0.0.1", ["lb-metod"]),
    ],
)
def test_an_annotation_without_effect_is_told(
    annotations: dict[str, str], port: ServicePortSpec, address: str, told: list[str]
) -> None:
    """On a Service whose ports carry none of the requests that it is about, without retries, on a headless Service; misspelt."""
    _, findings = compiled_service(annotations, port, address=address)
    assert {finding.reason for finding in findings} <= {"AnnotationWithoutEffect"}
    assert [finding.message.partition(": ")[0] for finding in findings] == [
        f"annotation {PREFIX}{name}" for name in told
    ]
