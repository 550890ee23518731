"""The second rival: Envoy, set up as its own page on benchmarking asks (How do I benchmark Envoy).

Where there is a choice, it is the one that costs Envoy least. ``start`` returns the way to start a pair; the two documents are the
whole configuration, each line that is not plain routing with its reason.
"""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.dataplane.processes import as_proxy
from benchmarks.dataplane.subjects import CLIENT_ID_PATH, SERVER_ID_PATH, Pair, Service, Start
from benchmarks.dataplane.workloads import GRPC, PORTS, Port
from mesh.api import names
from tests.nginx.network import Pod

Json = dict[str, Any]

_NO_LIMIT = 1_000_000_000
# Our access log, field by field.
_LOG = (
    '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% [%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% '
    '%BYTES_SENT% %DURATION% peer="%DOWNSTREAM_PEER_URI_SAN%" tls="%DOWNSTREAM_TLS_VERSION%" '
    'cipher="%DOWNSTREAM_TLS_CIPHER%" upstream="%UPSTREAM_CLUSTER%" server="%UPSTREAM_HOST%" '
    'original_dst="%DOWNSTREAM_LOCAL_ADDRESS%" refusal="%RESPONSE_FLAGS%" request_id="%REQ(X-MESH-REQUEST-ID)%"\n'
)


def starter(program: Path) -> Start:
    """Return what starts a pair of this Envoy."""

    def start(pair: Pair, _: ExitStack) -> None:
        server_id = f"spiffe://{pair.authority.trust_domain}{SERVER_ID_PATH}"
        for pod in (pair.client, pair.server):
            # The same rules as ours: the listener asks where a connection was going.
            pod.redirect()
        place = pair.folder("envoy-outgoing")
        _start(pair, pair.client, place, program, CLIENT_ID_PATH, outgoing(place, pair.known, server_id))
        place = pair.folder("envoy-incoming")
        peers = f"spiffe://{pair.authority.trust_domain}/"
        _start(pair, pair.server, place, program, SERVER_ID_PATH, incoming(place, peers))

    return start


def _start(pair: Pair, pod: Pod, place: Path, program: Path, path: str, document: Json) -> None:
    pair.write_identity(place, path)
    (place / "envoy.json").write_text(json.dumps(document, indent=1))
    # One worker, as all subjects have; no second process to restart into, and no shared memory for it.
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    pair.start_proxy(pod, place, as_proxy([str(program), "-c", str(place / "envoy.json"), *options]))


def outgoing(place: Path, services: list[Service], server_id: str) -> Json:
    """The client's side: one listener; its filter chains by port, its routes by Host; each endpoint must prove *server_id*."""
    clusters = [
        _cluster(
            f"{service.name}:{port.service}",
            [(address, port.application) for address in service.endpoints],
            port,
            _tls(_to_peer(place, server_id), "UpstreamTlsContext", {"max_session_keys": 0}),
        )
        for service in services
        for port in PORTS
    ]
    chains = [
        {
            "filter_chain_match": {"destination_port": port.service},
            "filters": [
                _routes(port, services) if port.protocol != "tcp" else _tcp(f"{services[-1].name}:{port.service}")
            ],
        }
        for port in PORTS
    ]
    return _document(_listener(names.PORT_OUTGOING, chains), clusters)


def incoming(place: Path, peers: str) -> Json:
    """The server's side: TLS ends here; a caller must prove an identity that begins with *peers*."""
    clusters = [
        _cluster(f"application:{port.service}", [("127.0.0.1", port.application)], port, None) for port in PORTS
    ]
    # No resumption: the mesh has none, because a resumed session keeps an identity alive that was taken away.
    resumption = {"disable_stateless_session_resumption": True, "disable_stateful_session_resumption": True}
    tls = {"require_client_certificate": True, **resumption}
    chains = [
        {
            "filter_chain_match": {"destination_port": port.application},
            "transport_socket": _tls(_from_peer(place, peers), "DownstreamTlsContext", tls),
            "filters": [_application(port) if port.protocol != "tcp" else _tcp(f"application:{port.service}")],
        }
        for port in PORTS
    ]
    return _document(_listener(names.PORT_INCOMING, chains), clusters)


def _document(listener: Json, clusters: list[Json]) -> Json:
    # No admin: nobody asks. Statistics stay on, as our counters do; nothing takes them away.
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _listener(port: int, chains: list[Json]) -> Json:
    return {
        "name": "redirected",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},
        # As long as ours.
        "tcp_backlog_size": 4096,
        # Where the connection was going before iptables, so that the chains can match it.
        "listener_filters": [
            _typed("envoy.filters.listener.original_dst", "extensions.filters.listener.original_dst.v3.OriginalDst")
        ],
        "filter_chains": chains,
    }


def _routes(port: Port, services: list[Service]) -> Json:
    hosts = [
        {
            "name": service.name,
            "domains": [service.address, f"{service.address}:{port.service}"],
            # No time-out, as ours has none by default: one timer less per request.
            "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": f"{service.name}:{port.service}", "timeout": "0s"}}
            ],
        }
        for service in services
    ]
    return _http(port, hosts, {})


def _application(port: Port) -> Json:
    route = {"match": {"prefix": "/"}, "route": {"cluster": f"application:{port.service}", "timeout": "0s"}}
    hosts = [{"name": "application", "domains": ["*"], "routes": [route]}]
    # The application is told who calls, and what the caller says of that is dropped: as X-Mesh-Peer-Identity of ours.
    told = {"forward_client_cert_details": "SANITIZE_SET", "set_current_client_cert_details": {"uri": True}}
    return _http(port, hosts, told)


def _http(port: Port, hosts: list[Json], more: Json) -> Json:
    router = _typed(
        "envoy.filters.http.router",
        "extensions.filters.http.router.v3.Router",
        # Its page asks for it: no statistics that are looked up by name per request.
        dynamic_stats=False,
        # Headers that ours does not write either.
        suppress_envoy_headers=True,
    )
    return _typed(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=port.protocol,
        # Known, so not to be detected.
        codec_type="HTTP2" if port is GRPC else "HTTP1",
        # Its page asks for it: a random number per request.
        generate_request_id=False,
        # No timer per stream that is set back with every frame.
        stream_idle_timeout="0s",
        # Headers pass as they are.
        server_header_transformation="PASS_THROUGH",
        skip_xff_append=True,
        http_filters=[router],
        route_config={"virtual_hosts": hosts},
        access_log=[
            _typed(
                "envoy.access_loggers.file",
                "extensions.access_loggers.file.v3.FileAccessLog",
                path="/dev/stdout",
                log_format={"text_format_source": {"inline_string": _LOG}},
            )
        ],
        **more,
    )


def _tcp(cluster: str) -> Json:
    return _typed(
        "envoy.filters.network.tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="tcp",
        cluster=cluster,
    )


def _cluster(name: str, endpoints: list[tuple[str, int]], port: Port, transport_socket: Json | None) -> Json:
    # Its page asks for it: the default limits, of 1,024, would be met first.
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    cluster: Json = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, _NO_LIMIT)]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": number}}}}
                        for address, number in endpoints
                    ]
                }
            ],
        },
    }
    if port is GRPC:
        options = _any(
            "extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}}
        )
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        }
    if transport_socket is not None:
        cluster["transport_socket"] = transport_socket
    return cluster


def _tls(validation: Json, kind: str, more: Json) -> Json:
    return _typed(
        "envoy.transport_sockets.tls",
        f"extensions.transport_sockets.tls.v3.{kind}",
        common_tls_context=validation,
        **more,
    )


def _to_peer(place: Path, server_id: str) -> Json:
    return _tls_context(place, {"exact": server_id})


def _from_peer(place: Path, peers: str) -> Json:
    return _tls_context(place, {"prefix": peers})


def _tls_context(place: Path, identity: Json) -> Json:
    return {
        # TLS 1.3 as ours; of its ciphers BoringSSL takes AES-128-GCM first where the processor has AES.
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [
            {"certificate_chain": {"filename": f"{place}/chain.pem"}, "private_key": {"filename": f"{place}/key.pem"}}
        ],
        # The identity rule in the place where it costs least: once per handshake, not once per request.
        "validation_context": {
            "trusted_ca": {"filename": f"{place}/bundle.pem"},
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": identity}],
        },
    }


def _typed(name: str, kind: str, **fields: Any) -> Json:
    return {"name": name, "typed_config": _any(kind, **fields)}


def _any(kind: str, **fields: Any) -> Json:
    return {"@type": f"type.googleapis.com/envoy.{kind}", **fields}
