"""The spelling that existing manifests, scripts and dashboards rely on, written out from the documents of NSM 2.0.

mesh.api.names is compared with literals, so that a change there is seen as a change of the contract.
"""

import pytest

from mesh.api import names

LITERALS = {
    "DEFAULT_NAMESPACE": "nginx-mesh",
    "PART_OF": "nginx-service-mesh",
    "CONTROLLER": "nginx-mesh-controller",
    "WEBHOOK_SERVICE": "nginx-mesh-webhook",
    "METRICS_API": "nginx-mesh-metrics",
    "METRICS_SERVICE": "nginx-mesh-metrics-svc",
    "SPIRE_SERVER": "spire-server",
    "SPIRE_AGENT": "spire-agent",
    "SPIRE_BUNDLE_CONFIGMAP": "spire-bundle",
    "WORKLOAD_REGISTRAR": "k8s-workload-registrar",
    "NATS_SERVER": "nats-server",
    "CERT_RELOADER": "nginx-mesh-cert-reloader",
    "CERT_RELOADER_INIT": "nginx-mesh-cert-reloader-init",
    "SIDECAR": "nginx-mesh-sidecar",
    "INIT": "nginx-mesh-init",
    "MESH_CONFIG_NAME": "nginx-mesh-config",
    "MUTATING_WEBHOOK": "sidecar-injector-webhook-cfg.internal.builtin.nsm.nginx",
    "VALIDATING_WEBHOOK": "validating-webhook-cfg.internal.builtin.nsm.nginx",
    "INJECT_PATH": "/inject",
    "VALIDATE_PATH": "/validate",
    "GROUP_NSM": "nsm.nginx.com",
    "GROUP_SPLIT": "split.smi-spec.io",
    "GROUP_ACCESS": "access.smi-spec.io",
    "GROUP_SPECS": "specs.smi-spec.io",
    "GROUP_SPECS_NGINX": "specs.smi.nginx.com",
    "LABEL_AUTO_INJECT": "injector.nsm.nginx.com/auto-inject",
    "AUTO_INJECT_ENABLED": "enabled",
    "AUTO_INJECT_DISABLED": "disabled",
    "LABEL_STATUS": "injector.nsm.nginx.com/status",
    "STATUS_INJECTED": "injected",
    "ANNOTATION_STATUS": "injector.nsm.nginx.com/status",
    "LABEL_SPIFFE_ID": "spiffe.io/spiffeid",
    "LABEL_SPIFFE_WEBHOOK": "spiffe.io/webhook",
    "LABEL_SPIFFE_APISERVICE": "spiffe.io/apiservice",
    "LABEL_ENABLE_INGRESS": "nsm.nginx.com/enable-ingress",
    "LABEL_ENABLE_EGRESS": "nsm.nginx.com/enable-egress",
    "LABEL_INTERNAL_ROUTE": "nsm.nginx.com/internal-route",
    "ANNOTATION_IGNORE_INCOMING_PORTS": "config.nsm.nginx.com/ignore-incoming-ports",
    "ANNOTATION_IGNORE_OUTGOING_PORTS": "config.nsm.nginx.com/ignore-outgoing-ports",
    "ANNOTATION_MTLS_MODE": "config.nsm.nginx.com/mtls-mode",
    "ANNOTATION_CLIENT_MAX_BODY_SIZE": "config.nsm.nginx.com/client-max-body-size",
    "ANNOTATION_DEFAULT_EGRESS_ALLOWED": "config.nsm.nginx.com/default-egress-allowed",
    "ANNOTATION_LB_METHOD": "config.nsm.nginx.com/lb-method",
    "ANNOTATION_REQUEST_TIMEOUT": "config.nsm.nginx.com/request-timeout",
    "ANNOTATION_RETRIES": "config.nsm.nginx.com/retries",
    "ANNOTATION_RETRY_NON_IDEMPOTENT": "config.nsm.nginx.com/retry-non-idempotent",
    "PROBE_REDIRECT_PATH": "/health-redirects",
    "DEFAULT_TRUST_DOMAIN": "example.org",
    "SPIRE_SOCKET_DIRECTORY": "/run/spire/sockets",
    "SUBJECT_CONFIG": "nginx.nsm.agent.config",
    "SUBJECT_SUBSCRIPTION": "nginx.nsm.agent.subscription",
    "SUBJECT_PING": "nginx.nsm.ctlr.ping",
    "MESH_UID": 2102,
}
PORTS = {
    "OUTGOING": 8900,
    "INCOMING": 8901,
    "REDIRECT_ERROR_OUTGOING": 8902,
    "REDIRECT_ERROR_INCOMING": 8903,
    "INCOMING_TCP": 8904,
    "INCOMING_TCP_DENIED": 8905,
    "OUTGOING_TCP": 8906,
    "INCOMING_TCP_PERMISSIVE": 8907,
    "OUTGOING_UDP": 8908,
    "INCOMING_UDP": 8909,
    "CONTROL": 8886,
    "METRICS": 8887,
    "INCOMING_HTTP": 8888,
    "OUTGOING_HTTP": 8889,
    "INCOMING_HTTP_PERMISSIVE": 8890,
    "INCOMING_GRPC": 8891,
    "OUTGOING_GRPC": 8892,
    "INCOMING_GRPC_PERMISSIVE": 8893,
    "OUTGOING_EGRESS": 8894,
    "HTTP_PROBES": 8895,
    "HTTPS_PROBES": 8896,
    "CONTROLLER_API": 8082,
    "WEBHOOK": 9443,
    "WEBHOOK_SERVICE": 443,
    "SPIRE_SERVER": 8081,
    "NATS": 4222,
    "NATS_MONITOR": 8222,
}


@pytest.mark.spec("2.names")
@pytest.mark.parametrize(("constant", "literal"), LITERALS.items())
def test_names_are_spelled_as_in_nsm(constant: str, literal: object) -> None:
    assert getattr(names, constant) == literal


@pytest.mark.spec("6.ports")
@pytest.mark.parametrize(("constant", "number"), PORTS.items())
def test_ports_are_those_of_nsm(constant: str, number: int) -> None:
    assert getattr(names, f"PORT_{constant}") == number


@pytest.mark.spec("2.names")
def test_names_that_are_made_of_others() -> None:
    assert names.mesh_config_class("nginx-mesh") == "nginx-mesh-meshconfig-class"
    assert names.parent_label("Deployment") == "nsm.nginx.com/deployment"
    assert names.parent_label("ReplicaSet") == "nsm.nginx.com/replicaset"
    assert names.config_subject("0123456789abcdef") == "nginx.nsm.agent.config.0123456789abcdef"
    assert names.delta_subject("0123456789abcdef") == "nginx.nsm.agent.delta.0123456789abcdef"


def test_no_sidecar_port_twice() -> None:
    """Two listeners cannot share a number."""
    numbers = [value for name, value in PORTS.items() if 8886 <= value <= 8909]
    assert len(numbers) == len(set(numbers))
