"""Which Service answers a call of another one: splits and circuits together (contract 7.split, 7.breaker).

A call goes down from the Service that was called to a backend, to a backend of that one, and so on. At each Service its
circuit is asked first, then its splits.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from mesh.decide.request import Request
from mesh.decide.routes import first_fit
from mesh.model.policy import Share, Split
from mesh.model.sidecar_config import ServicePort

Place = tuple[str, int]
"""A port of a Service: ``namespace/name`` and number."""
Services = Mapping[Place, ServicePort]
Die = Callable[[int], int]
"""Gives a whole number from 0 to below its argument, each as likely as the others."""

DEPTH: Final = 8
"""Backends that are split in turn; the compiler lets no circle through."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A Service on a call's way, and the policy of the split that divides the call there, if any."""

    service: Place
    split: str = ""


@dataclass(frozen=True, slots=True)
class Direction:
    """What a call comes to.

    The endpoints of the last hop's Service answer, unless ``refused_by`` names the policy of an open circuit that nobody
    stands in for. ``guards`` are the policies of the circuits that an error of this call counts for. ``fallback_of``: the
    policy whose circuit is open, where the last Service stands in for the one before it.
    """

    hops: tuple[Hop, ...]
    guards: tuple[str, ...] = ()
    fallback_of: str = ""
    refused_by: str = ""

    @property
    def service(self) -> Place:
        """The Service whose endpoints answer, or whose circuit refuses."""
        return self.hops[-1].service


@dataclass(frozen=True, slots=True)
class _Branch:
    weight: int
    direction: Direction
    is_end: bool


def services_of(ports: Collection[ServicePort]) -> Services:
    """Index the Services of a configuration."""
    return {(f"{port.namespace}/{port.service}", port.port): port for port in ports}


def direct(services: Services, root: Place, request: Request, die: Die, opened: Collection[str] = ()) -> Direction:
    """Direct one call of *root*; *opened* are the policies whose circuits are open. Raises BadTargetError."""
    branch = _Branch(1, Direction((Hop(root),)), is_end=False)
    while not branch.is_end:
        branches = _branches(services, branch.direction, request, opened)
        draw = die(sum(each.weight for each in branches)) if len(branches) > 1 else 0
        for branch in branches:
            draw -= branch.weight
            if draw < 0:
                break
    return branch.direction


def distribution(
    services: Services, root: Place, request: Request, opened: Collection[str] = ()
) -> dict[Direction, Fraction]:
    """Tell how likely each direction of such a call is; the sum is 1. Raises BadTargetError."""
    found: dict[Direction, Fraction] = {}
    for direction, chance in _outcomes(services, Direction((Hop(root),)), request, opened):
        found[direction] = found.get(direction, Fraction(0)) + chance
    return found


def split_for(service: ServicePort, request: Request) -> Split | None:
    """Return the split that divides *request*: the first that it fits. Connections to tcp ports fit no matches."""
    for split in service.splits:
        if not split.matches:
            return split
        # A search that was given up leaves the request with the root.
        if request.is_http and first_fit(split.matches, request) is not None:
            return split
    return None


def counting(split: Split, services: Services) -> tuple[Share, ...]:
    """The shares that count: with a weight, and a Service that has an endpoint."""
    return tuple(share for share in split.shares if share.weight and services[share.service, share.port].endpoints)


def _outcomes(
    services: Services, direction: Direction, request: Request, opened: Collection[str]
) -> Iterator[tuple[Direction, Fraction]]:
    branches = _branches(services, direction, request, opened)
    total = sum(branch.weight for branch in branches)
    for branch in branches:
        chance = Fraction(branch.weight, total)
        if branch.is_end:
            yield branch.direction, chance
        else:
            for outcome, inner in _outcomes(services, branch.direction, request, opened):
                yield outcome, chance * inner


def _branches(services: Services, direction: Direction, request: Request, opened: Collection[str]) -> list[_Branch]:
    """Where a call may go that has come to the last Service of *direction*."""
    here = direction.service
    service = services[here]
    if service.breaker and service.breaker.policy in opened:
        return [_Branch(1, _fall_back(services, direction, opened), is_end=True)]
    if service.breaker:
        direction = replace(direction, guards=(*direction.guards, service.breaker.policy))
    split = split_for(service, request) if len(direction.hops) <= DEPTH else None
    if split is None:
        return [_Branch(1, direction, is_end=True)]
    divided = replace(direction, hops=(*direction.hops[:-1], Hop(here, split.policy)))
    shares = counting(split, services)
    if not shares:
        return [_Branch(1, divided, is_end=True)]
    return [_branch(divided, share) for share in shares]


def _branch(divided: Direction, share: Share) -> _Branch:
    place = (share.service, share.port)
    if place == divided.service:
        return _Branch(share.weight, divided, is_end=True)
    return _Branch(share.weight, replace(divided, hops=(*divided.hops, Hop(place))), is_end=False)


def _fall_back(services: Services, direction: Direction, opened: Collection[str]) -> Direction:
    """The last Service's circuit is open: its fallback answers, one hop far; its splits count for nothing."""
    breaker = services[direction.service].breaker
    if breaker is None or breaker.fallback is None:
        return replace(direction, guards=(), refused_by=breaker.policy if breaker else "")
    own = services[breaker.fallback].breaker
    if own and own.policy in opened:
        return replace(direction, guards=(), refused_by=breaker.policy)
    guards = (own.policy,) if own else ()
    return Direction((*direction.hops, Hop(breaker.fallback)), guards, fallback_of=breaker.policy)
