"""The environment of the sidecar's container."""

import json

import pytest

from mesh.api.errors import InvalidInputError
from mesh.sidecar import nginx_conf, settings
from mesh.sidecar.settings import Probe

GOOD = {
    "MESH_POD_NAMESPACE": "shop",
    "MESH_POD_NAME": "web-0",
    "MESH_POD_IP": "10.0.0.1",
    "MESH_GROUP": "0123456789abcdef",
    "MESH_TRUST_DOMAIN": "example.org",
    "MESH_MTLS_MODE": "permissive",
    "MESH_NAMESPACE": "mesh-2",
}
ROWS = [
    {"location": "/health-redirects/app/liveness", "scheme": "HTTP", "port": 8080, "path": "/healthz?x=1", "host": ""},
    {"location": "/health-redirects/app/readiness", "scheme": "HTTPS", "port": 8443, "path": "/", "host": "a.example"},
]


def test_what_the_injector_writes_is_enough() -> None:
    """Everything else follows from it."""
    read = settings.parse(GOOD)
    assert (read.pod, read.bus_server) == ("shop/web-0", "tls://nats-server.mesh-2.svc:4222")
    assert read.bus_host == "nats-server.mesh-2.svc"
    assert (read.log_level, read.workers, read.probes) == ("info", 1, ())


@pytest.mark.spec("6.zones")
@pytest.mark.parametrize(("given", "expected"), [({}, ""), ({"MESH_NODE_NAME": "node-1"}, "node-1")])
def test_the_node_is_what_the_kubelet_says(given: dict[str, str], expected: str) -> None:
    """A pod that was injected by hand may lack it."""
    assert settings.parse(GOOD | given).node == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MESH_POD_NAME", ""),
        ("MESH_POD_IP", ""),
        ("MESH_GROUP", "0123"),
        ("MESH_TRUST_DOMAIN", "Example.org"),
        ("MESH_MTLS_MODE", "loose"),
        ("MESH_LOG_LEVEL", "loud"),
        ("MESH_WORKERS", "0"),
        ("MESH_WORKERS", "٣"),
        ("MESH_DRAIN_SECONDS", "-1"),
        ("MESH_PROBES", "{"),
        ("MESH_PROBES", '[{"location": "/x"}]'),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    """Alone."""
    with pytest.raises(InvalidInputError) as caught:
        settings.parse(GOOD | {name: value})
    assert [problem.place for problem in caught.value.problems] == [f"environment {name}"]


def test_all_faults_at_once() -> None:
    """Nothing set: every required variable is named."""
    with pytest.raises(InvalidInputError) as caught:
        settings.parse({})
    assert len(caught.value.problems) == 5


TEMPLATE = """\
pid @RUN_DIRECTORY@/nginx.pid; worker_processes @WORKERS@;
    listen 0.0.0.0:8895 reuseport;
    listen [::]:8895 ipv6only=on reuseport;
    @HTTP_PROBES@
    location @unreachable { return 502; }
    @HTTPS_PROBES@
"""


@pytest.mark.spec("5.probes")
def test_grpc_probes_name_ports_and_make_no_location() -> None:
    grpc = {"location": "", "scheme": "GRPC", "port": 9000, "path": "/grpc.health.v1.Health/Check", "host": ""}
    read = settings.parse(GOOD | {"MESH_PROBES": json.dumps([*ROWS, grpc])})
    assert read.health_ports == {9000}
    without = settings.parse(GOOD | {"MESH_PROBES": json.dumps(ROWS)})
    template = "@RUN_DIRECTORY@ @WORKERS@ @HTTP_PROBES@ @HTTPS_PROBES@"
    assert nginx_conf.render(template, read, has_ipv6=True) == nginx_conf.render(template, without, has_ipv6=True)


@pytest.mark.spec("5.probes")
def test_probes_become_exact_locations() -> None:
    """Each goes to the application's own port and path, with the Host that the kubelet would send."""
    read = settings.parse(GOOD | {"MESH_PROBES": json.dumps(ROWS)})
    assert read.probes[0] == Probe("/health-redirects/app/liveness", "HTTP", 8080, "/healthz?x=1")
    assert nginx_conf.render(TEMPLATE, read, has_ipv6=True).splitlines() == [
        "pid /var/run/nginx-mesh/nginx.pid; worker_processes 1;",
        "    listen 0.0.0.0:8895 reuseport;",
        "    listen [::]:8895 ipv6only=on reuseport;",
        (
            "    location = /health-redirects/app/liveness { proxy_pass http://10.0.0.1:8080/healthz?x=1; "
            "proxy_set_header Host 10.0.0.1:8080; proxy_redirect off; }"
        ),
        "    location @unreachable { return 502; }",
        (
            "    location = /health-redirects/app/readiness { proxy_pass https://10.0.0.1:8443/; "
            "proxy_set_header Host a.example; proxy_redirect off; proxy_ssl_verify off; }"
        ),
    ]


def test_an_ipv6_pod_is_called_in_brackets() -> None:
    """As URLs want it."""
    read = settings.parse(GOOD | {"MESH_PROBES": json.dumps(ROWS[:1]), "MESH_POD_IP": "fd00::7"})
    assert "http://[fd00::7]:8080/healthz" in nginx_conf.render(TEMPLATE, read, has_ipv6=True)


def test_a_kernel_without_ipv6() -> None:
    """NGINX could not start with such listeners."""
    rendered = nginx_conf.render(TEMPLATE, settings.parse(GOOD), has_ipv6=False)
    assert "[::]" not in rendered
    assert "listen 0.0.0.0:8895 reuseport;" in rendered


def test_included_files_are_rendered_like_the_template() -> None:
    """Their markers, too, and their listeners on IPv6 go where there is none."""
    files = {"a.conf.template": "pid @RUN_DIRECTORY@/a;\n    listen [::]:1;\n", "b.conf.template": "user @WORKERS@;\n"}
    template = nginx_conf.join("{\n@INCLUDE a.conf.template@\n}\n@INCLUDE b.conf.template@\n", files.__getitem__)
    rendered = nginx_conf.render(template, settings.parse(GOOD), has_ipv6=False)
    assert rendered == "{\npid /var/run/nginx-mesh/a;\n}\nuser 1;\n"


def test_an_unknown_marker() -> None:
    """A template of another version is not rendered half."""
    with pytest.raises(nginx_conf.TemplateError, match="got marker @COLOUR@, takes HTTPS_PROBES"):
        nginx_conf.render("@COLOUR@", settings.parse(GOOD), has_ipv6=True)
