"""Random clusters: consistent enough to be one, strange enough to find what nobody thought of."""

from hypothesis import strategies as st

from mesh.api.mesh_config import AccessControlMode
from mesh.api.mtls import MtlsMode
from mesh.model.snapshot import (
    ContainerPort,
    EndpointSlice,
    MeshSettings,
    NamespaceView,
    Pod,
    Service,
    ServicePortSpec,
    SliceEndpoint,
    Snapshot,
)
from mesh.model.topology import NO_HINTS, Hints
from tests.property.policy_objects import faulty, policies

NAMESPACES = ["a", "b", "c"]
APPS = ["x", "y", "z"]
NODES = ["node-1", "node-2"]
PLACES = st.lists(st.sampled_from(["one", "two"]), max_size=2, unique=True).map(tuple)
HINTS = st.just(NO_HINTS) | st.builds(Hints, PLACES, st.just(()) | st.just(("node-1",)))
PORTS = st.sampled_from([80, 81, 8080, 9090])
PORT_NAMES = st.sampled_from(["", "http", "grpc-1", "tcp", "odd"])
TRANSPORTS = st.sampled_from(["TCP", "TCP", "TCP", "UDP"])
# Few addresses, so that pods reuse each other's and bare endpoints hit pods.
POD_ADDRESSES = st.sampled_from([f"10.1.0.{n}" for n in range(6)] + ["fd00::1", "fd00::2"])
ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "config.nsm.nginx.com/mtls-mode": st.sampled_from(["off", "permissive", "strict", "STRICT", "wrong"]),
        "config.nsm.nginx.com/client-max-body-size": st.sampled_from(["0", "1k", "many"]),
    },
)

SERVICE_ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "config.nsm.nginx.com/lb-method": st.sampled_from(["random two", "wrong"]),
        "config.nsm.nginx.com/request-timeout": st.sampled_from(["1ms", "1440m", "1441m"]),
        "config.nsm.nginx.com/retries": st.sampled_from(["0", "10", "11"]),
        "config.nsm.nginx.com/retry-non-idempotent": st.sampled_from(["true", "false", "yes"]),
    },
)


@st.composite
def pods(draw: st.DrawFn, namespace: str) -> tuple[Pod, ...]:
    """Up to five pods; those of one app and account share a group when they are injected."""
    rows = []
    for number in range(draw(st.integers(0, 5))):
        app = draw(st.sampled_from(APPS))
        account = draw(st.sampled_from(["default", "special"]))
        rows.append(
            Pod(
                namespace,
                f"pod-{number}",
                account,
                f"{ord(namespace):08x}{ord(app):04x}{ord(account[0]):04x}" if draw(st.booleans()) else "",
                tuple(draw(st.lists(POD_ADDRESSES, max_size=2, unique=True))),
                tuple(draw(st.lists(st.builds(ContainerPort, PORTS, TRANSPORTS, PORT_NAMES), max_size=3))),
                {"app": app, "nsm.nginx.com/deployment": app},
                draw(ANNOTATIONS),
                draw(st.booleans()),
                draw(st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])),
                draw(st.sampled_from(["", *NODES])),
            )
        )
    return tuple(rows)


@st.composite
def services(draw: st.DrawFn, namespace: str) -> tuple[Service, ...]:
    """One Service for some of the apps, some without a selector or an address."""
    return tuple(
        Service(
            namespace,
            name,
            draw(
                st.sampled_from(
                    [(), (f"10.0.{ord(namespace)}.{number}",), (f"10.0.{ord(namespace)}.{number}", "fd01::1")]
                )
            ),
            tuple(
                draw(
                    st.lists(
                        st.builds(ServicePortSpec, PORTS, PORTS | PORT_NAMES, PORT_NAMES, TRANSPORTS, st.just("")),
                        max_size=3,
                        unique_by=lambda spec: (spec.port, spec.transport),
                    )
                )
            ),
            draw(st.sampled_from([{}, {"app": name}])),
            draw(SERVICE_ANNOTATIONS),
        )
        for number, name in enumerate(draw(st.lists(st.sampled_from(APPS), unique=True)))
    )


@st.composite
def slices(draw: st.DrawFn, namespace: str) -> tuple[EndpointSlice, ...]:
    """Slices whose endpoints may name pods that are not there."""
    endpoint = st.builds(
        SliceEndpoint,
        st.lists(POD_ADDRESSES, min_size=1, max_size=2, unique=True).map(tuple),
        st.sampled_from(["", "pod-0", "pod-1", "pod-2", "gone"]),
        st.booleans(),
        HINTS,
    )
    return tuple(
        EndpointSlice(
            namespace,
            f"slice-{number}",
            draw(st.sampled_from(APPS)),
            tuple(draw(st.lists(st.tuples(PORT_NAMES, TRANSPORTS, PORTS), max_size=2))),
            tuple(draw(st.lists(endpoint, max_size=4))),
        )
        for number in range(draw(st.integers(0, 4)))
    )


@st.composite
def namespace_views(draw: st.DrawFn, name: str) -> NamespaceView:
    """A namespace, labelled or not, with a scope of its own or not."""
    return NamespaceView(
        name,
        draw(st.sampled_from([{}, {"injector.nsm.nginx.com/auto-inject": "enabled"}])),
        draw(
            st.sampled_from(
                [{}, {"config.nsm.nginx.com/egress-scope": "a"}, {"config.nsm.nginx.com/egress-scope": "*"}]
            )
        ),
        draw(pods(name)),
        draw(services(name)),
        draw(slices(name)),
        draw(policies(name)),
        draw(faulty(name)),
    )


settings = st.builds(
    MeshSettings,
    mtls_mode=st.sampled_from(MtlsMode),
    transparent=st.booleans(),
    opening=st.booleans(),
    access_control_mode=st.sampled_from(AccessControlMode),
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """A whole cluster."""
    chosen = draw(st.lists(st.sampled_from(NAMESPACES), unique=True, max_size=3))
    zones = draw(st.dictionaries(st.sampled_from(NODES), st.sampled_from(["one", "two"])))
    return Snapshot(draw(settings), {name: draw(namespace_views(name)) for name in chosen}, zones)
