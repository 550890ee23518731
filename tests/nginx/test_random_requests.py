"""Raw bytes through two NGINX with real certificates: the verdict is the reference's, the path what it judged (contract 7.agreement)."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mesh.decide.access import Ground, Verdict, judge_access
from mesh.decide.path import BadTargetError, normalised_path
from mesh.decide.request import Request
from mesh.model.policy import Target
from mesh.model.sidecar_config import IncomingPort, Protocol, SidecarConfig
from mesh.sidecar import nginx_state
from tests.nginx.conftest import APPLICATION_PORT, CLIENT_ID, Pair
from tests.property import policies

REQUESTS = 10
"""Judged by each policy."""
METHODS = ("GET", "POST", "DELETE")

requests = st.builds(
    lambda method, target, headers: Request(
        APPLICATION_PORT, Protocol.HTTP, CLIENT_ID, "", method, target, tuple(headers)
    ),
    st.sampled_from(METHODS),
    # Spaces around a target are none of it in HTTP/1.1.
    policies.targets.map(lambda target: target.strip(b" ")),
    policies.headers,
)


def at_the_server(pod: SidecarConfig) -> SidecarConfig:
    """The policies, for the one port of the server; the first of their identities is the client's."""
    return replace(
        pod,
        incoming=(IncomingPort(APPLICATION_PORT, Protocol.HTTP),),
        targets=tuple(_for_the_client(target, number) for number, target in enumerate(pod.targets)),
        limits=(),
    )


def _for_the_client(target: Target, number: int) -> Target:
    """As no two objects have one name, the verdict's name leads to the target that decided."""
    sources = {CLIENT_ID if source == policies.IDENTITIES[0] else source for source in target.sources}
    port = APPLICATION_PORT if target.port == 80 else target.port
    return replace(target, policy=f"a/t{number}", sources=tuple(sorted(sources)), port=port)


def judged(config: SidecarConfig, request: Request) -> Verdict | None:
    """The reference's verdict; None for a request that is malformed."""
    try:
        _ = request.path
    except BadTargetError:
        return None
    return judge_access(config, request)


def answer_to(pair: Pair, request: Request) -> tuple[int, str]:
    """Send the request as the bytes that it is; status and reason of the answer."""
    lines = [request.method.encode() + b" " + request.target + b" HTTP/1.1", b"Host: host", b"Connection: close"]
    lines += [name.encode() + b": " + value for name, value in request.headers]
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]))
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    head = received.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    reasons = [line.partition(": ")[2] for line in head if line.lower().startswith("x-mesh-refused:")]
    return int(head[0].split()[1]), "".join(reasons)


def expected(verdict: Verdict | None) -> tuple[int, str]:
    if verdict is None:
        return 400, ""
    return (200, "") if verdict.is_allowed else (403, verdict.reason_id)


def by_path(config: SidecarConfig, verdict: Verdict) -> bool:
    """Whether a pattern for paths decided."""
    if verdict.ground is not Ground.MATCH or verdict.match is None:
        return False
    return any(
        target.policy == verdict.policy and verdict.match < len(target.matches) and target.matches[verdict.match].path
        for target in config.targets
    )


def agree(pair: Pair, config: SidecarConfig, request: Request) -> None:
    """What the client gets and the application sees is what the reference says."""
    before = len(pair.app.requests)
    verdict = judged(config, request)
    status, reason = answer_to(pair, request)
    assert (status, reason) == (expected(verdict)[0], expected(verdict)[1] if status == 403 else reason)
    seen = pair.app.requests[before:]
    assert len(seen) == (status == 200)
    for path in paths(seen):
        assert normalised_path(path) == request.path
        if verdict and by_path(config, verdict):
            assert unquote_to_bytes(path.partition(b"?")[0]) == request.path


def paths(seen: list[str]) -> Iterator[bytes]:
    return (path.encode("latin-1") for path in seen)


@pytest.mark.spec("7.agreement", "7.access", "7.path")
@pytest.mark.parametrize(
    "policies_tried",
    [
        pytest.param(30, id="short"),
        pytest.param(1000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(3600)]),
    ],
)
def test_two_sidecars_judge_as_the_reference_does(pair: Pair, policies_tried: int) -> None:
    @settings(max_examples=policies_tried, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(policies.pods.map(at_the_server), st.lists(requests, min_size=REQUESTS, max_size=REQUESTS))
    def same(config: SidecarConfig, asked: list[Request]) -> None:
        pair.server.apply(nginx_state.render(config, "1.1"))
        for request in asked:
            agree(pair, config, request)

    same()
