"""Why a call goes where it goes, and what becomes of it there: every judgement on its way, with the deciding objects."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from mesh.decide.access import Verdict, judge_access
from mesh.decide.limit import Applied, limit_for
from mesh.decide.path import BadTargetError
from mesh.decide.request import Request
from mesh.decide.split import Direction, Hop, Place, Services, distribution, services_of
from mesh.model.reason import Reason, reason_id
from mesh.model.sidecar_config import Endpoint, MtlsMode, PodAddress, Protocol, ServicePort, SidecarConfig


class Wire(StrEnum):
    """How the caller's sidecar speaks to an endpoint."""

    MTLS = "mTLS"
    PLAINTEXT = "plaintext"
    UNREAD = "passed unread"


@dataclass(frozen=True, slots=True)
class Leg:
    """A call's last step, to one endpoint. ``refusal`` is a reason's id, empty when the application gets the call.

    ``wire`` is None where the caller's sidecar refuses. ``access`` and ``limit`` are the judgement of the endpoint's own sidecar;
    ``mode`` is its mTLS mode; all three are None where there is none, or where it is not reached.
    """

    endpoint: Endpoint
    wire: Wire | None
    protocol: Protocol
    mode: MtlsMode | None = None
    access: Verdict | None = None
    limit: Applied | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """One of the directions that a call may take, how likely it is, and the endpoints at its end.

    ``refusal`` is that of the caller's own sidecar: an open circuit, no endpoint.
    """

    direction: Direction
    chance: Fraction
    legs: tuple[Leg, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a pod as ``namespace/name``, the identity that it proves, and what its sidecar does.

    A pod without a sidecar proves nothing; its ``config`` is `without_sidecar`.
    """

    pod: str
    identity: str
    config: SidecarConfig
    has_sidecar: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that may become of one call. ``refusal`` is there when nothing is chosen at all."""

    request: Request
    ways: tuple[Way, ...] = ()
    refusal: str = ""

    @property
    def outcomes(self) -> frozenset[str]:
        """The reasons' ids that this call may meet with; the empty one stands for success."""
        if self.refusal:
            return frozenset({self.refusal})
        met = {way.refusal for way in self.ways if way.refusal}
        return frozenset(met | {leg.refusal for way in self.ways if not way.refusal for leg in way.legs})


def explain_service(
    caller: Caller, pods: Mapping[str, SidecarConfig], called: Place, request: Request, opened: Collection[str] = ()
) -> Explanation:
    """Explain a call of a Service in the caller's scope; *pods* has what each injected pod's sidecar does.

    Of *request* method, target and headers count. *opened* are the policies whose circuits are open.
    """
    services = services_of(caller.config.services)
    if called not in services:
        return Explanation(replace(request, port=called[1]), (), _unknown(caller))
    return _explain(caller, pods, services, called, request, opened)


def explain_pod(
    caller: Caller,
    pods: Mapping[str, SidecarConfig],
    called: PodAddress,
    request: Request,
    opened: Collection[str] = (),
) -> Explanation:
    """Explain a call of a pod by its own address; a headless Service's splits and circuit hold there, too."""
    services = dict(services_of(caller.config.services))
    protocol = dict(called.ports).get(request.port, Protocol.TCP)
    own = Endpoint(called.address, request.port, called.identity, called.pod)
    for port, service, service_port in called.headless:
        if port == request.port:
            place = (service, service_port)
            services[place] = replace(services[place], endpoints=(own,))
            return _explain(caller, pods, services, place, request, opened)
    return _explain_addresses(caller, pods, (own,), (called.pod, request.port), replace(request, protocol=protocol))


def explain_headless(
    caller: Caller,
    pods: Mapping[str, SidecarConfig],
    behind: Sequence[tuple[PodAddress, int]],
    called: Place,
    request: Request,
) -> Explanation:
    """Explain a call of a headless Service without splits and circuit: of one of the pods *behind* it, each with its port."""
    protocol = next((dict(pod.ports).get(port, Protocol.TCP) for pod, port in behind), Protocol.TCP)
    own = tuple(Endpoint(pod.address, port, pod.identity, pod.pod) for pod, port in behind)
    return _explain_addresses(caller, pods, own, called, replace(request, port=called[1], protocol=protocol))


def without_sidecar(configs: Iterable[SidecarConfig]) -> SidecarConfig:
    """What becomes of the calls of a pod without a sidecar: they go to every Service that *configs* know, in plaintext, undivided."""
    services: dict[Place, ServicePort] = {}
    pods: dict[str, PodAddress] = {}
    for config in configs:
        for row in config.services:
            if row.addresses:
                services.setdefault((f"{row.namespace}/{row.service}", row.port), replace(row, splits=(), breaker=None))
        for pod in config.pods:
            pods.setdefault(pod.address, replace(pod, headless=()))
    return SidecarConfig("", MtlsMode.OFF, 0, "", "", "", services=tuple(services.values()), pods=tuple(pods.values()))


def _explain_addresses(
    caller: Caller, pods: Mapping[str, SidecarConfig], own: Collection[Endpoint], called: Place, spoken: Request
) -> Explanation:
    if _is_malformed(spoken):
        return Explanation(spoken, (), Reason.MALFORMED)
    way = _way(caller, pods, own, Direction((Hop(called),)), Fraction(1), spoken)
    return Explanation(spoken, (way,))


def _explain(
    caller: Caller,
    pods: Mapping[str, SidecarConfig],
    services: Services,
    called: Place,
    request: Request,
    opened: Collection[str],
) -> Explanation:
    spoken = replace(request, port=called[1], protocol=services[called].protocol)
    if _is_malformed(spoken):
        return Explanation(spoken, (), Reason.MALFORMED)
    directions = distribution(services, called, spoken, opened)
    ways = [
        _way(caller, pods, services[direction.service].endpoints, direction, chance, spoken)
        for direction, chance in directions.items()
    ]
    return Explanation(spoken, tuple(ways))


def _is_malformed(request: Request) -> bool:
    try:
        return request.is_http and not request.path
    except BadTargetError:
        return True


def _unknown(caller: Caller) -> str:
    is_strict = caller.config.mtls_mode is MtlsMode.STRICT and not caller.config.transparent
    return Reason.UNKNOWN_DESTINATION if is_strict else ""


def _way(
    caller: Caller,
    pods: Mapping[str, SidecarConfig],
    endpoints: Collection[Endpoint],
    direction: Direction,
    chance: Fraction,
    request: Request,
) -> Way:
    if direction.refused_by:
        return Way(direction, chance, refusal=reason_id(Reason.CIRCUIT_OPEN, direction.refused_by))
    if not endpoints:
        return Way(direction, chance, refusal=Reason.NO_ENDPOINT)
    return Way(direction, chance, tuple(_legs(caller, pods, endpoints, request)))


def _legs(
    caller: Caller, pods: Mapping[str, SidecarConfig], endpoints: Collection[Endpoint], request: Request
) -> Iterator[Leg]:
    for endpoint in endpoints:
        wire = _wire(caller.config, endpoint)
        config = pods.get(endpoint.pod)
        if wire is None:
            yield Leg(endpoint, None, request.protocol, refusal=Reason.PLAINTEXT_ENDPOINT)
        elif config is None:
            yield Leg(endpoint, wire, request.protocol)
        else:
            yield _arrive(caller, config, endpoint, wire, request)


def _wire(config: SidecarConfig, endpoint: Endpoint) -> Wire | None:
    if config.transparent:
        return Wire.UNREAD
    if config.mtls_mode is MtlsMode.OFF:
        return Wire.PLAINTEXT
    if endpoint.identity:
        return Wire.MTLS
    return None if config.mtls_mode is MtlsMode.STRICT else Wire.PLAINTEXT


def _arrive(caller: Caller, config: SidecarConfig, endpoint: Endpoint, wire: Wire, request: Request) -> Leg:
    """What the endpoint's sidecar makes of it: its own idea of the port's protocol counts."""
    protocol = next((row.protocol for row in config.incoming if row.port == endpoint.port), Protocol.TCP)
    leg = Leg(endpoint, wire, protocol, config.mtls_mode)
    is_proven = wire is Wire.MTLS
    if not is_proven and config.mtls_mode is MtlsMode.STRICT and not config.transparent:
        return replace(leg, refusal=Reason.PLAINTEXT)
    incoming = replace(
        request,
        port=endpoint.port,
        protocol=protocol,
        identity=caller.identity if is_proven else "",
        pod=caller.pod if is_proven else "",
    )
    verdict = judge_access(config, incoming)
    limit = limit_for(config, incoming, endpoint.pod) if verdict.is_allowed else None
    return replace(leg, access=verdict, limit=limit, refusal=verdict.reason_id)
