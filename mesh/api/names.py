"""Every label, annotation, port, subject and object name of the contract, once.

NGINX Service Mesh 2.0 named most of them; existing manifests, scripts and dashboards rely on the exact spelling
(contract 2.names). Names that are ours alone carry the comment "ours". Tests compare this module with literals
written out from the NSM documents, so a change here is a change of the contract.
"""

import hashlib
from typing import Final

# --- API groups and objects -------------------------------------------------------------------------------------
DEFAULT_NAMESPACE: Final = "nginx-mesh"
PART_OF: Final = "nginx-service-mesh"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"

CONTROLLER: Final = "nginx-mesh-controller"
WEBHOOK_SERVICE: Final = "nginx-mesh-webhook"
METRICS_API: Final = "nginx-mesh-metrics"
METRICS_SERVICE: Final = "nginx-mesh-metrics-svc"
SPIRE_SERVER: Final = "spire-server"
SPIRE_AGENT: Final = "spire-agent"
SPIRE_BUNDLE_CONFIGMAP: Final = "spire-bundle"
SPIRE_BUNDLE_KEY: Final = "bundle.crt"
WORKLOAD_REGISTRAR: Final = "k8s-workload-registrar"
NATS_SERVER: Final = "nats-server"
NATS_SERVICE_ACCOUNT: Final = "nats"
CERT_RELOADER: Final = "nginx-mesh-cert-reloader"
CERT_RELOADER_INIT: Final = "nginx-mesh-cert-reloader-init"
SIDECAR: Final = "nginx-mesh-sidecar"
INIT: Final = "nginx-mesh-init"

MESH_CONFIG_NAME: Final = "nginx-mesh-config"
MESH_CONFIG_CLASS_SUFFIX: Final = "-meshconfig-class"
MESH_CONFIG_CONTROLLER_NAME: Final = "nsm.nginx.com/nginx-mesh-controller"
MESHCONFIG_CONFIGMAP: Final = "meshconfig"
MESHCONFIG_CONFIGMAP_KEY: Final = "meshconfig.json"
MESHCONFIG_TRANSPARENT_KEY: Final = "transparent"
MESH_CONFIG_FINALIZER: Final = "nsm.nginx.com/transparent-first"  # ours: the controller's hold on the MeshConfig
REGISTRY_SECRET: Final = "nginx-mesh-registry-key"

MUTATING_WEBHOOK: Final = "sidecar-injector-webhook-cfg.internal.builtin.nsm.nginx"
VALIDATING_WEBHOOK: Final = "validating-webhook-cfg.internal.builtin.nsm.nginx"
INJECT_PATH: Final = "/inject"
VALIDATE_PATH: Final = "/validate"
LEADER_LEASE: Final = "nginx-mesh-controller"  # ours

GROUP_NSM: Final = "nsm.nginx.com"
GROUP_SPLIT: Final = "split.smi-spec.io"
GROUP_ACCESS: Final = "access.smi-spec.io"
GROUP_SPECS: Final = "specs.smi-spec.io"
GROUP_SPECS_NGINX: Final = "specs.smi.nginx.com"
GROUP_SPIRE: Final = "spire.spiffe.io"

SYSTEM_NAMESPACES: Final = ("kube-system", "kube-node-lease", "kube-public")

# --- Labels -----------------------------------------------------------------------------------------------------
LABEL_AUTO_INJECT: Final = "injector.nsm.nginx.com/auto-inject"
AUTO_INJECT_ENABLED: Final = "enabled"
AUTO_INJECT_DISABLED: Final = "disabled"
LABEL_STATUS: Final = "injector.nsm.nginx.com/status"
STATUS_INJECTED: Final = "injected"
LABEL_SPIFFE_ID: Final = "spiffe.io/spiffeid"
LABEL_SPIFFE_WEBHOOK: Final = "spiffe.io/webhook"
LABEL_SPIFFE_APISERVICE: Final = "spiffe.io/apiservice"
LABEL_VALUE_LIMIT: Final = 63
LABEL_PARENT_PREFIX: Final = "nsm.nginx.com/"  # + deployment, daemonset, statefulset, ...
LABEL_ENABLE_INGRESS: Final = "nsm.nginx.com/enable-ingress"
LABEL_ENABLE_EGRESS: Final = "nsm.nginx.com/enable-egress"
LABEL_INTERNAL_ROUTE: Final = "nsm.nginx.com/internal-route"
LABEL_ZONE: Final = "topology.kubernetes.io/zone"  # Kubernetes' own, on Nodes

# --- Annotations ------------------------------------------------------------------------------------------------
ANNOTATION_PREFIXES: Final = ("config.nsm.nginx.com/", "injector.nsm.nginx.com/")
ANNOTATION_STATUS: Final = "injector.nsm.nginx.com/status"
ANNOTATION_VERSION: Final = "injector.nsm.nginx.com/version"  # ours: tells our sidecars from NSM's
ANNOTATION_GROUP: Final = "injector.nsm.nginx.com/group"  # ours: the sidecar group (design 7)
ANNOTATION_NATIVE_SIDECAR: Final = "injector.nsm.nginx.com/native-sidecar"  # ours: "false" goes back to a container
ANNOTATION_IGNORE_INCOMING_PORTS: Final = "config.nsm.nginx.com/ignore-incoming-ports"
ANNOTATION_IGNORE_OUTGOING_PORTS: Final = "config.nsm.nginx.com/ignore-outgoing-ports"
ANNOTATION_MTLS_MODE: Final = "config.nsm.nginx.com/mtls-mode"
ANNOTATION_CLIENT_MAX_BODY_SIZE: Final = "config.nsm.nginx.com/client-max-body-size"
ANNOTATION_DEFAULT_EGRESS_ALLOWED: Final = "config.nsm.nginx.com/default-egress-allowed"
ANNOTATION_EGRESS_SCOPE: Final = "config.nsm.nginx.com/egress-scope"  # ours
ANNOTATION_LB_METHOD: Final = "config.nsm.nginx.com/lb-method"  # on Services
ANNOTATION_REQUEST_TIMEOUT: Final = "config.nsm.nginx.com/request-timeout"  # ours, on Services
ANNOTATION_RETRIES: Final = "config.nsm.nginx.com/retries"  # ours, on Services
ANNOTATION_RETRY_NON_IDEMPOTENT: Final = "config.nsm.nginx.com/retry-non-idempotent"  # ours, on Services
ANNOTATION_LIMIT_STATUS: Final = "nsm.nginx.com/limit-status"  # ours, on RateLimits: "429" in place of "503"
ANNOTATION_REMOVE_ANYWAY: Final = "nsm.nginx.com/remove-anyway"  # ours: on the MeshConfig, "true" waits for no sidecar
ANNOTATION_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"

# --- Ports of the sidecar (contract 6.ports) ----------------------------------------------------------------------
PORT_OUTGOING: Final = 8900
PORT_INCOMING: Final = 8901
PORT_REDIRECT_ERROR_OUTGOING: Final = 8902
PORT_REDIRECT_ERROR_INCOMING: Final = 8903
PORT_INCOMING_TCP: Final = 8904
PORT_INCOMING_TCP_DENIED: Final = 8905
PORT_OUTGOING_TCP: Final = 8906
PORT_INCOMING_TCP_PERMISSIVE: Final = 8907
PORT_OUTGOING_UDP: Final = 8908
PORT_INCOMING_UDP: Final = 8909
PORT_CONTROL: Final = 8886
PORT_METRICS: Final = 8887
PORT_INCOMING_HTTP: Final = 8888
PORT_OUTGOING_HTTP: Final = 8889
PORT_INCOMING_HTTP_PERMISSIVE: Final = 8890
PORT_INCOMING_GRPC: Final = 8891
PORT_OUTGOING_GRPC: Final = 8892
PORT_INCOMING_GRPC_PERMISSIVE: Final = 8893
PORT_OUTGOING_EGRESS: Final = 8894
PORT_HTTP_PROBES: Final = 8895
PORT_HTTPS_PROBES: Final = 8896
PORT_DNS: Final = 53

PROBE_REDIRECT_PATH: Final = "/health-redirects"
GRPC_HEALTH_PATH: Final = "/grpc.health.v1.Health/Check"

# --- Ports of the control plane -----------------------------------------------------------------------------------
PORT_CONTROLLER_API: Final = 8082
PORT_WEBHOOK: Final = 9443
PORT_WEBHOOK_SERVICE: Final = 443
PORT_SPIRE_SERVER: Final = 8081
PORT_NATS: Final = 4222
PORT_NATS_MONITOR: Final = 8222
PORT_HEALTH: Final = 8080  # ours: /live and /ready of our own processes

# --- Identity -----------------------------------------------------------------------------------------------------
DEFAULT_TRUST_DOMAIN: Final = "example.org"
SPIRE_SOCKET_DIRECTORY: Final = "/run/spire/sockets"
SPIRE_SOCKET: Final = "/run/spire/sockets/agent.sock"

# --- Bus (design 7) -----------------------------------------------------------------------------------------------
SUBJECT_CONFIG: Final = "nginx.nsm.agent.config"  # + .<group>
SUBJECT_DELTA: Final = "nginx.nsm.agent.delta"  # + .<group>
SUBJECT_SUBSCRIPTION: Final = "nginx.nsm.agent.subscription"
SUBJECT_PING: Final = "nginx.nsm.ctlr.ping"
STREAM: Final = "MESH"
DIRECT_GET: Final = "$JS.API.DIRECT.GET." + STREAM
HEADER_FORMAT: Final = "Mesh-Format"
HEADER_REVISION: Final = "Mesh-Revision"
HEADER_BASE: Final = "Mesh-Base"
HEADER_DIGEST: Final = "Mesh-Digest"
HEADER_ENCODING: Final = "Mesh-Encoding"  # "zlib", absent for plain JSON
HEADER_CHUNK: Final = "Mesh-Chunk"  # "<number>/<count>"; the manifest carries the count alone

# --- Processes ----------------------------------------------------------------------------------------------------
MESH_UID: Final = 2102


def mesh_config_class(namespace: str) -> str:
    """Name of the cluster-scoped MeshConfigClass of the mesh in *namespace*."""
    return namespace + MESH_CONFIG_CLASS_SUFFIX


def config_subject(group: str) -> str:
    """Subject that keeps the last configuration snapshot of a sidecar group."""
    return f"{SUBJECT_CONFIG}.{group}"


def delta_subject(group: str) -> str:
    """Subject on which the sidecars of a group hear what has changed."""
    return f"{SUBJECT_DELTA}.{group}"


def bus_dns_name(namespace: str) -> str:
    """DNS name that every sidecar's SVID shares, so that NATS can give all of them one user (ours)."""
    return f"bus.{namespace}.internal"


def parent_label(kind: str) -> str:
    """Label that names a pod's parent of *kind*, such as ``nsm.nginx.com/deployment``."""
    return LABEL_PARENT_PREFIX + kind.lower()


def label_value(name: str) -> str:
    """Cut a name that is too long for a label value to 63 characters that end with a hash of the whole."""
    if len(name) <= LABEL_VALUE_LIMIT:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LABEL_VALUE_LIMIT - len(mark) - 1]}-{mark}"
