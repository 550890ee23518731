"""Configuration files of SPIRE server, SPIRE agent and SPIRE Controller Manager, as text (identity facts, design 6)."""

import json
from dataclasses import dataclass
from typing import Final

from mesh.api import names

CLUSTER: Final = "mesh"  # name of the cluster in node attestation; agents and server must agree
SERVER_DIRECTORY: Final = "/run/spire/server"
SERVER_SOCKET: Final = f"{SERVER_DIRECTORY}/private/api.sock"
SERVER_DATA: Final = "/run/spire/data"
SERVER_HEALTH_PORT: Final = 8080
REGISTRAR_HEALTH_PORT: Final = 9443
# Of agents; the controller sets the life of workloads' certificates entry by entry.
_AGENT_SVID_TTL: Final = "1h"
AGENT_DATA: Final = "/run/spire/data"
AGENT_BUNDLE_DIRECTORY: Final = "/run/spire/bundle"
AGENT_TOKEN_DIRECTORY: Final = "/var/run/secrets/tokens"
AGENT_HEALTH_PORT: Final = 9982


@dataclass(frozen=True, slots=True)
class SpireConfig:
    """What the files depend on; durations as SPIRE reads them, such as 720h."""

    namespace: str
    trust_domain: str
    cluster_domain: str
    ca_ttl: str
    ca_key_type: str
    key_manager: str
    cache_reload_interval: str
    sync_interval: str
    log_level: str
    verify_kubelet: bool


def server_conf(config: SpireConfig) -> str:
    """server.conf. The notifier fills the bundle's ConfigMap first; the controller corrects it ever after."""
    allow_list = json.dumps([f"{config.namespace}:{names.SPIRE_AGENT}"])
    return f"""server {{
    bind_address = "0.0.0.0"
    bind_port = "{names.PORT_SPIRE_SERVER}"
    socket_path = "{SERVER_SOCKET}"
    trust_domain = "{config.trust_domain}"
    data_dir = "{SERVER_DATA}"
    log_level = "{config.log_level.upper()}"
    ca_key_type = "{config.ca_key_type}"
    ca_ttl = "{config.ca_ttl}"
    default_x509_svid_ttl = "{_AGENT_SVID_TTL}"
    ca_subject {{
        country = ["US"]
        organization = ["SPIRE"]
        common_name = "{config.trust_domain}"
    }}
    experimental {{
        cache_reload_interval = "{config.cache_reload_interval}"
    }}
}}

plugins {{
    DataStore "sql" {{
        plugin_data {{
            database_type = "sqlite3"
            connection_string = "{SERVER_DATA}/datastore.sqlite3"
        }}
    }}
    {_key_manager(config.key_manager)}
    NodeAttestor "k8s_psat" {{
        plugin_data {{
            clusters = {{
                "{CLUSTER}" = {{
                    service_account_allow_list = {allow_list}
                }}
            }}
        }}
    }}
    Notifier "k8sbundle" {{
        plugin_data {{
            namespace = "{config.namespace}"
            config_map = "{names.SPIRE_BUNDLE_CONFIGMAP}"
            config_map_key = "{names.SPIRE_BUNDLE_KEY}"
        }}
    }}
}}

health_checks {{
    listener_enabled = true
    bind_address = "0.0.0.0"
    bind_port = "{SERVER_HEALTH_PORT}"
    live_path = "/live"
    ready_path = "/ready"
}}
"""


def _key_manager(kind: str) -> str:
    data = f'plugin_data {{ keys_path = "{SERVER_DATA}/keys.json" }}' if kind == "disk" else "plugin_data {}"
    return f'KeyManager "{kind}" {{ {data} }}'


def agent_conf(config: SpireConfig) -> str:
    """agent.conf. Keys stay in memory: an agent that starts anew attests anew."""
    return f"""agent {{
    data_dir = "{AGENT_DATA}"
    log_level = "{config.log_level.upper()}"
    server_address = "{names.SPIRE_SERVER}.{config.namespace}.svc"
    server_port = "{names.PORT_SPIRE_SERVER}"
    socket_path = "{names.SPIRE_SOCKET}"
    trust_bundle_path = "{AGENT_BUNDLE_DIRECTORY}/{names.SPIRE_BUNDLE_KEY}"
    trust_domain = "{config.trust_domain}"
    experimental {{
        sync_interval = "{config.sync_interval}"
    }}
}}

plugins {{
    NodeAttestor "k8s_psat" {{
        plugin_data {{
            cluster = "{CLUSTER}"
        }}
    }}
    KeyManager "memory" {{
        plugin_data {{}}
    }}
    WorkloadAttestor "k8s" {{
        plugin_data {{
            node_name_env = "MY_NODE_NAME"
            skip_kubelet_verification = {json.dumps(not config.verify_kubelet)}
            # Pods are told apart, not their containers. The kubelet tells of a container only after its postStart hook,
            # and the hook of an ordinary sidecar waits for the identity.
            disable_container_selectors = true
        }}
    }}
}}

health_checks {{
    listener_enabled = true
    bind_address = "127.0.0.1"
    bind_port = "{AGENT_HEALTH_PORT}"
    live_path = "/live"
    ready_path = "/ready"
}}
"""


def controller_manager_config(config: SpireConfig) -> str:
    """Configuration of the SPIRE Controller Manager, as JSON, which is YAML, too.

    ``gcInterval`` is in nanoseconds: the Controller Manager reads no text there. Its webhook is off (an environment
    variable): ours validates, and its certificate would outlive a revoked root.
    """
    document = {
        "apiVersion": "spire.spiffe.io/v1alpha1",
        "kind": "ControllerManagerConfig",
        "clusterName": CLUSTER,
        "clusterDomain": config.cluster_domain,
        "trustDomain": config.trust_domain,
        "spireServerSocketPath": SERVER_SOCKET,
        "ignoreNamespaces": [f"^{namespace}$" for namespace in names.SYSTEM_NAMESPACES],
        "gcInterval": 10 * 10**9,
        "metrics": {"bindAddress": "127.0.0.1:8082"},
        "health": {"healthProbeBindAddress": f"0.0.0.0:{REGISTRAR_HEALTH_PORT}"},
        "leaderElection": {"leaderElect": False},
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
