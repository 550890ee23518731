"""nats.conf: who may say what on the bus (design 7). Users are named by what stands in a verified certificate."""

import json
from dataclasses import dataclass
from typing import Any, Final

from mesh.api import names

TLS_DIRECTORY: Final = "/run/nats-tls"
PID_DIRECTORY: Final = "/run/nats"
PID_FILE: Final = f"{PID_DIRECTORY}/nats.pid"
DATA_DIRECTORY: Final = "/data"


@dataclass(frozen=True, slots=True)
class NatsConfig:
    """``memory`` is what the stream of configurations may take, as NATS reads sizes, such as 64M."""

    namespace: str
    trust_domain: str
    memory: str = "64M"


def nats_conf(config: NatsConfig) -> str:
    """The server's configuration file.

    Sidecars share the DNS name ``bus.<namespace>.internal``; the controller is known by its SPIFFE ID. A certificate
    with neither is refused. The configuration stream lives in memory: the controller fills it again at every start.
    """
    users = ",\n        ".join(json.dumps(user) for user in (_controller(config), _sidecars(config.namespace)))
    return f"""server_name: {names.NATS_SERVER}
listen: "0.0.0.0:{names.PORT_NATS}"
http: "0.0.0.0:{names.PORT_NATS_MONITOR}"
pid_file: "{PID_FILE}"
logtime: true

jetstream {{
    store_dir: "{DATA_DIRECTORY}"
    max_memory_store: {config.memory}
    max_file_store: 1M
}}

tls {{
    cert_file: "{TLS_DIRECTORY}/tls.crt"
    key_file: "{TLS_DIRECTORY}/tls.key"
    ca_file: "{TLS_DIRECTORY}/ca.crt"
    verify_and_map: true
    min_version: "1.3"
    timeout: 5
}}

authorization {{
    users: [
        {users}
    ]
}}
"""


def _controller(config: NatsConfig) -> dict[str, Any]:
    identity = f"spiffe://{config.trust_domain}/ns/{config.namespace}/sa/{names.CONTROLLER}"
    return {"user": identity, "permissions": {"publish": [">"], "subscribe": [">"]}}


def _sidecars(namespace: str) -> dict[str, Any]:
    return {
        "user": names.bus_dns_name(namespace),
        "permissions": {
            "publish": {"allow": [names.SUBJECT_SUBSCRIPTION, f"{names.DIRECT_GET}.{names.SUBJECT_CONFIG}.>"]},
            "subscribe": {
                "allow": [f"{names.SUBJECT_CONFIG}.>", f"{names.SUBJECT_DELTA}.>", names.SUBJECT_PING, "_INBOX.>"]
            },
        },
    }
