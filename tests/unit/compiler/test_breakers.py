"""From CircuitBreakers to what callers do (contract 7.breaker, 7.order, 7.missing, 7.headless)."""

from typing import Any

import pytest

from mesh.api.errors import InvalidInputError
from mesh.model.policy import Breaker
from mesh.model.snapshot import ServicePortSpec
from tests.unit.compiler.cluster import backed, compiled, config, endpoint_slice, namespace, pod, port_of, service
from tests.unit.compiler.policies import breaker, outcome, said

HTTP = ServicePortSpec(80, 8080, "http")
CALLER = pod("caller", "10.1.0.200")
WEB = backed("web", "10.0.0.1", 1, HTTP, ServicePortSpec(81, 8081, "tcp-raw"))
SPARE = backed("spare", "10.0.0.2", 2, HTTP, ServicePortSpec(8000, 8000, "http-alt"))
SHOP = (CALLER, *WEB, *SPARE)


def of_web(*items: Any, port: int = 80) -> Breaker | None:
    return port_of(config(namespace(*SHOP, *items)), "web", port).breaker


@pytest.mark.spec("7.breaker")
def test_every_port_of_a_service_has_its_circuit() -> None:
    """One for all of them."""
    policy = breaker("guard", "web", errors=3, seconds=10)
    assert of_web(policy) == of_web(policy, port=81) == Breaker("shop/guard", 3, 10)
    assert port_of(config(namespace(*SHOP, policy)), "spare").breaker is None
    assert said(compiled(namespace(*SHOP, policy))) == []


@pytest.mark.spec("7.breaker")
@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        ({"service": "spare"}, ("shop/spare", 80)),
        ({"service": "shop/spare", "port": 8000}, ("shop/spare", 8000)),
        ({}, None),
    ],
)
def test_a_fallback(fallback: dict[str, Any], expected: tuple[str, int] | None) -> None:
    """Port 80 when none is given; its namespace is the destination's."""
    found = of_web(breaker("guard", "web", fallback=fallback))
    assert found is not None
    assert found.fallback == expected


PLAIN = pod("plain", "10.1.0.9", group="")
NOT_INJECTED = (service("plain", "10.0.0.9", HTTP), PLAIN, endpoint_slice("plain", "http", 8080, PLAIN))


@pytest.mark.spec("7.missing")
@pytest.mark.parametrize(
    ("fallback", "others"),
    [
        ({"service": "gone"}, ()),
        ({"service": "spare", "port": 9999}, ()),
        ({"service": "plain"}, NOT_INJECTED),
    ],
)
def test_a_fallback_that_cannot_take_over_is_told(fallback: dict[str, Any], others: tuple[Any, ...]) -> None:
    """Reliability case 24: missing, without that port, or not injected: the circuit holds, and refuses."""
    policy = breaker("guard", "web", fallback=fallback)
    assert of_web(*others, policy) == Breaker("shop/guard", 5, 30)
    compilation = compiled(namespace(*SHOP, *others, policy))
    assert said(compilation) == [("guard", "BreakerFallbackInvalid")]
    assert outcome(compilation, policy).accepted


@pytest.mark.spec("7.parse")
@pytest.mark.parametrize("service_name", ["web", "shop/web"])
def test_a_service_is_not_its_own_fallback(service_name: str) -> None:
    """Reliability case 24."""
    with pytest.raises(InvalidInputError, match="it is the one that fails"):
        breaker("guard", "web", fallback={"service": service_name})


@pytest.mark.spec("7.breaker")
def test_services_that_are_each_others_fallback() -> None:
    """Reliability case 24: there is no loop to make, because a fallback is at most one hop."""
    one = breaker("one", "web", fallback={"service": "spare"})
    two = breaker("two", "spare", fallback={"service": "web"})
    found = config(namespace(*SHOP, one, two))
    assert port_of(found, "web").breaker == Breaker("shop/one", 5, 30, ("shop/spare", 80))
    assert port_of(found, "spare").breaker == Breaker("shop/two", 5, 30, ("shop/web", 80))
    assert said(compiled(namespace(*SHOP, one, two))) == []


@pytest.mark.spec("7.missing")
@pytest.mark.parametrize(("errors", "seconds"), [(0, 30), (5, 0)])
def test_a_circuit_that_never_opens_is_told(errors: int, seconds: int) -> None:
    """It is accepted, as in NGINX Service Mesh."""
    policy = breaker("guard", "web", errors=errors, seconds=seconds)
    assert of_web(policy) == Breaker("shop/guard", errors, seconds)
    assert said(compiled(namespace(*SHOP, policy))) == [("guard", "BreakerNeverOpens")]


@pytest.mark.spec("7.missing")
def test_a_destination_that_is_missing_is_told() -> None:
    """There is nothing to guard."""
    policy = breaker("guard", "gone")
    compilation = compiled(namespace(*SHOP, policy))
    assert said(compilation) == [("guard", "DestinationMissing")]
    assert not outcome(compilation, policy).accepted


@pytest.mark.spec("7.order")
def test_of_two_circuits_of_a_service_the_older_holds() -> None:
    """The younger is not accepted, wherever it stands."""
    older = breaker("z", "web", errors=1, day=1)
    younger = breaker("a", "shop/web", errors=2, day=2, namespace="policies")
    compilation = compiled(namespace(*SHOP, older), namespace(younger, name="policies"))
    found = compilation.configs["0123456789abcdef"]
    assert port_of(found, "web").breaker == Breaker("shop/z", 1, 30)
    assert [(name, reason) for name, reason in said(compilation)] == [("a", "BreakerConflict")]
    assert not outcome(compilation, younger).accepted
    alone = config(namespace(*SHOP), namespace(younger, name="policies"))
    assert port_of(alone, "web").breaker == Breaker("policies/a", 2, 30)


@pytest.mark.spec("7.breaker")
def test_a_circuit_goes_with_every_balancing_method() -> None:
    """NGINX Service Mesh could not, with random."""
    web = service("web", "10.0.0.1", HTTP, annotations={"config.nsm.nginx.com/lb-method": "random"})
    found = port_of(config(namespace(CALLER, web, *WEB[1:], breaker("guard", "web"))), "web")
    assert (found.lb_method, found.breaker) == ("random", Breaker("shop/guard", 5, 30))


@pytest.mark.spec("7.headless")
def test_a_headless_service_is_guarded_where_its_pods_are_called() -> None:
    """A call of its pod's address and port is a call of the Service."""
    found = config(namespace(CALLER, service("web", "", HTTP), *WEB[1:], breaker("guard", "web")))
    port = port_of(found, "web")
    assert (port.addresses, port.breaker) == ((), Breaker("shop/guard", 5, 30))
    assert {item.pod: item.headless for item in found.pods if item.headless} == {"shop/web": ((8080, "shop/web", 80),)}


@pytest.mark.spec("7.headless")
def test_a_headless_fallback_is_known_with_its_endpoints() -> None:
    """Nobody calls it by an address of its own."""
    spare = (service("spare", "", HTTP), *SPARE[1:])
    found = config(namespace(CALLER, *WEB, *spare, breaker("guard", "web", fallback={"service": "spare"})))
    assert [endpoint.pod for endpoint in port_of(found, "spare").endpoints] == ["shop/spare"]
    guard = port_of(found, "web").breaker
    assert guard is not None
    assert guard.fallback == ("shop/spare", 80)
