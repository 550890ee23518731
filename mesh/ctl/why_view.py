"""What `meshctl why` tells, as a document with a schema, and as text."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from mesh.ctl import columns
from mesh.decide.access import Ground, Verdict
from mesh.decide.explain import Caller, Explanation, Leg, Way
from mesh.decide.limit import Applied
from mesh.model.policy import NO_DELAY, Breaker, HttpMatch
from mesh.model.sidecar_config import SidecarConfig

SCHEMA: Final = "nginx-mesh/why/v1"
ALLOWED: Final = "allowed"
REFUSED: Final = "refused"
DEPENDS: Final = "depends"
PASSED: Final = "passed unread"


def as_document(
    caller: Caller, called: str, told: Explanation, configs: Mapping[str, SidecarConfig], opened: frozenset[str] | None
) -> dict[str, Any]:
    """Give the explanation as plain values. *opened* are the policies of open circuits, None where nobody could be asked."""
    request = told.request
    http = {"method": request.method, "path": request.path.decode("latin-1")} if request.is_http and told.ways else {}
    return {
        "schema": SCHEMA,
        "source": {
            "pod": caller.pod,
            "identity": caller.identity,
            "mtlsMode": caller.config.mtls_mode.value if caller.has_sidecar else "",
        },
        "destination": {"name": called, "port": request.port, "protocol": request.protocol.value},
        "request": http,
        "verdict": verdict_of(told),
        "reasons": sorted(outcome for outcome in told.outcomes if outcome),
        "ways": [_way(way, configs) for way in sorted(told.ways, key=lambda way: (-way.chance, way.direction.hops))],
        "circuits": list(_circuits(caller.config, told, opened)),
    }


def verdict_of(told: Explanation) -> str:
    """One word for all that may happen."""
    if not told.ways and not told.refusal:
        return PASSED
    if told.outcomes == {""}:
        return ALLOWED
    return DEPENDS if "" in told.outcomes else REFUSED


def _way(way: Way, configs: Mapping[str, SidecarConfig]) -> dict[str, Any]:
    direction = way.direction
    return {
        "share": float(way.chance),
        "services": [f"{name}:{port}" for name, port in (hop.service for hop in direction.hops)],
        "splits": [hop.split for hop in direction.hops if hop.split],
        "fallbackOf": direction.fallback_of,
        "refusal": way.refusal,
        "endpoints": [_leg(leg, configs) for leg in way.legs],
    }


def _leg(leg: Leg, configs: Mapping[str, SidecarConfig]) -> dict[str, Any]:
    config = configs.get(leg.endpoint.pod)
    return {
        "pod": leg.endpoint.pod,
        "address": leg.endpoint.address,
        "port": leg.endpoint.port,
        "protocol": leg.protocol.value,
        "identity": leg.endpoint.identity,
        "wire": leg.wire.value if leg.wire else "",
        "mtlsMode": leg.mode.value if leg.mode else "",
        "refusal": leg.refusal,
        "policy": leg.access.policy if leg.access else "",
        "rule": rule_text(leg.access, config) if leg.access else "",
        "limit": _limit(leg.limit) if leg.limit else None,
    }


def rule_text(verdict: Verdict, config: SidecarConfig | None) -> str:
    """What in the deciding policy fits, or why none is needed."""
    words = {
        Ground.NOT_ENFORCED: "no TrafficTarget is about this pod, and the mode is allow",
        Ground.TRANSPARENT: "sidecars are transparent",
        Ground.EVERYTHING: "has no rules",
        Ground.TCP: "TCPRoute",
    }
    if verdict.ground is not Ground.MATCH:
        return words.get(verdict.ground, "") if verdict.ground else ""
    matches = [target.matches for target in config.targets if target.policy == verdict.policy] if config else []
    position = verdict.match or 0
    found = next((rows[position] for rows in matches if position < len(rows)), None)
    return match_text(found) if found else f"match {position + 1}"


def match_text(match: HttpMatch) -> str:
    """A match on one line: ``GET,HEAD ^/shop x-user:^a``; ``any request`` without criteria."""
    parts = [",".join(match.methods), match.path, *(f"{name}:{pattern or '*'}" for name, pattern in match.headers)]
    return " ".join(filter(None, parts)) or "any request"


def _limit(applied: Applied) -> dict[str, Any]:
    limit = applied.limit
    source = limit.sources[applied.bucket].name if limit.sources else ""
    return {
        "policy": limit.policy,
        "requestsPerSecond": limit.microrequests / 1_000_000,
        "burst": limit.burst,
        "delay": "nodelay" if limit.delay == NO_DELAY else limit.delay,
        "status": limit.status,
        "source": source,
    }


def _circuits(config: SidecarConfig, told: Explanation, opened: frozenset[str] | None) -> Iterator[dict[str, Any]]:
    passed = {hop.service for way in told.ways for hop in way.direction.hops}
    for port in config.services:
        name = f"{port.namespace}/{port.service}"
        if port.breaker and (name, port.port) in passed:
            yield _circuit(f"{name}:{port.port}", port.breaker, opened)


def _circuit(service: str, breaker: Breaker, opened: frozenset[str] | None) -> dict[str, Any]:
    return {
        "policy": breaker.policy,
        "service": service,
        "errors": breaker.errors,
        "timeoutSeconds": breaker.timeout_seconds,
        "fallback": "{}:{}".format(*breaker.fallback) if breaker.fallback else "",
        "state": "unknown" if opened is None else "open" if breaker.policy in opened else "closed",
    }


def as_text(document: Mapping[str, Any]) -> str:
    """The document for people."""
    source, destination, request = document["source"], document["destination"], document["request"]
    asked = f"  {request['method']} {request['path']}" if request else ""
    verdict = document["verdict"] + "".join(f"  {reason}" for reason in document["reasons"])
    lines = [
        f"{source['pod']} -> {destination['name']}:{destination['port']} ({destination['protocol']}){asked}",
        f"identity  {_identity_text(source)}",
        f"verdict   {verdict}",
    ]
    for way in document["ways"]:
        lines += ["", *_way_lines(way)]
    if document["circuits"]:
        rows = [
            (row["service"], row["policy"], f"{row['errors']} in {row['timeoutSeconds']} s", row["fallback"] or "-", row["state"])
            for row in document["circuits"]
        ]  # fmt: skip
        lines += ["", *columns.lines([("CIRCUIT OF", "POLICY", "ERRORS", "FALLBACK", "STATE"), *rows])]
    return "\n".join(lines)


def _identity_text(source: Mapping[str, Any]) -> str:
    if not source["mtlsMode"]:
        return "none: the pod has no sidecar"
    return f"{source['identity'] or 'none: mTLS is off'} (mTLS {source['mtlsMode']})"


def _way_lines(way: Mapping[str, Any]) -> Iterator[str]:
    share = Fraction(way["share"]).limit_denominator(10**6)
    by = "".join(f", split by {policy}" for policy in way["splits"])
    fallback = f", the circuit {way['fallbackOf']} is open" if way["fallbackOf"] else ""
    yield f"{float(share):.4g} of calls: {' -> '.join(way['services'])}{by}{fallback}"
    if way["refusal"]:
        yield f"  refused  {way['refusal']}"
        return
    rows = [
        (
            row["pod"] or row["address"],
            str(row["port"]),
            f"{row['wire'] or '-'} to {row['mtlsMode'] or 'no sidecar'}",
            f"{REFUSED} {row['refusal']}" if row["refusal"] else ALLOWED,
            " ".join(filter(None, (row["policy"], row["rule"]))) or "-",
            _limit_text(row["limit"]),
        )
        for row in way["endpoints"]
    ]
    yield from ("  " + line for line in columns.lines([("ENDPOINT", "PORT", "WIRE", "VERDICT", "BY", "LIMIT"), *rows]))


def _limit_text(limit: Mapping[str, Any] | None) -> str:
    if limit is None:
        return "-"
    whom = limit["source"] or "all others"
    return f"{limit['policy']} {limit['requestsPerSecond']:g} r/s for {whom}, burst {limit['burst']}, delay {limit['delay']}"
