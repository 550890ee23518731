"""What the agent is told by its container's environment, once, at its start (contract 5.sidecar)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.mtls import MtlsMode
from mesh.bus import connection
from mesh.kit import log as kit_log
from mesh.model.identity import is_trust_domain

RUN_DIRECTORY = "/var/run/nginx-mesh"
TEMPLATE = "/usr/share/nginx-mesh/nginx.conf.template"
_GROUP = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of the application: an HTTP(S) one that the sidecar forwards, or a gRPC one that it lets pass (contract 5.probes)."""

    location: str
    scheme: str
    port: int
    path: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """``pod`` is ``namespace/name``; ``drain_seconds`` is what a drain may take, under the pod's termination grace;
    after ``quiet_seconds`` without a socket the application has ended.

    ``node`` is the pod's node, empty when its injector did not say: then no endpoint is nearer than another.
    """

    pod: str
    pod_ip: str
    group: str
    mesh_namespace: str
    trust_domain: str
    mode: MtlsMode
    bus_server: str
    bus_host: str
    log_level: str = "info"
    log_format: str = "text"
    spire_socket: str = names.SPIRE_SOCKET
    run_directory: Path = Path(RUN_DIRECTORY)
    template: Path = Path(TEMPLATE)
    nginx: str = "/usr/sbin/nginx"
    workers: int = 1
    drain_seconds: float = 25.0
    quiet_seconds: float = 0.0
    probes: tuple[Probe, ...] = ()
    node: str = ""

    @property
    def health_ports(self) -> frozenset[int]:
        """Ports that the kubelet's gRPC probes ask."""
        return frozenset(probe.port for probe in self.probes if probe.scheme == "GRPC")


def parse(environment: Mapping[str, str]) -> Settings:
    """Read the environment. Raises InvalidInputError with every fault at once."""
    return _Parser(environment).settings()


class _Parser:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[Problem] = []

    def settings(self) -> Settings:
        namespace = self._text("MESH_NAMESPACE", names.DEFAULT_NAMESPACE)
        settings = Settings(
            pod=f"{self._text('MESH_POD_NAMESPACE')}/{self._text('MESH_POD_NAME')}",
            pod_ip=self._text("MESH_POD_IP"),
            group=self._group(),
            mesh_namespace=namespace,
            trust_domain=self._trust_domain(),
            mode=self._mode(),
            bus_server=self._text("MESH_NATS_SERVER", connection.server_url(namespace)),
            bus_host=connection.server_host(namespace),
            log_level=self._choice("MESH_LOG_LEVEL", "info", tuple(kit_log.LEVELS)),
            log_format=self._choice("MESH_LOG_FORMAT", "text", kit_log.FORMATS),
            spire_socket=self._text("MESH_SPIRE_SOCKET", names.SPIRE_SOCKET),
            run_directory=Path(self._text("MESH_RUN_DIRECTORY", RUN_DIRECTORY)),
            template=Path(self._text("MESH_NGINX_TEMPLATE", TEMPLATE)),
            nginx=self._text("MESH_NGINX", "/usr/sbin/nginx"),
            workers=self._number("MESH_WORKERS", 1, 64),
            drain_seconds=self._number("MESH_DRAIN_SECONDS", 25, 86400),
            quiet_seconds=self._number("MESH_QUIET_SECONDS", 0, 3600, minimum=0),
            probes=self._probes(),
            node=self._environment.get("MESH_NODE_NAME", ""),
        )
        if self._problems:
            raise InvalidInputError(self._problems)
        return settings

    def _refuse(self, name: str, got: object, takes: str) -> None:
        self._problems.append(Problem(f"environment {name}", quote(got), takes))

    def _text(self, name: str, default: str | None = None) -> str:
        value = self._environment.get(name, "") or default
        if value is None:
            self._refuse(name, "", "a value")
            return ""
        return value

    def _choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self._text(name, default)
        if value not in choices:
            self._refuse(name, value, ", ".join(choices))
        return value

    def _number(self, name: str, default: int, maximum: int, minimum: int = 1) -> int:
        text = self._text(name, str(default))
        if not (text.isascii() and text.isdigit() and minimum <= int(text) <= maximum):
            self._refuse(name, text, f"{minimum} to {maximum}")
            return default
        return int(text)

    def _group(self) -> str:
        value = self._text("MESH_GROUP")
        if value and not _GROUP.fullmatch(value):
            self._refuse("MESH_GROUP", value, "16 hexadecimal digits")
        return value

    def _trust_domain(self) -> str:
        value = self._text("MESH_TRUST_DOMAIN")
        if value and not is_trust_domain(value):
            self._refuse("MESH_TRUST_DOMAIN", value, "a SPIFFE trust domain name")
        return value

    def _mode(self) -> MtlsMode:
        value = self._choice("MESH_MTLS_MODE", str(MtlsMode.STRICT), tuple(MtlsMode))
        return MtlsMode(value) if value in tuple(MtlsMode) else MtlsMode.STRICT

    def _probes(self) -> tuple[Probe, ...]:
        text = self._environment.get("MESH_PROBES", "") or "[]"
        try:
            return tuple(
                Probe(str(row["location"]), str(row["scheme"]), int(row["port"]), str(row["path"]), str(row["host"]))
                for row in json.loads(text)
            )
        except (ValueError, KeyError, TypeError) as error:
            self._refuse("MESH_PROBES", text, f"what the injector writes ({type(error).__name__}: {error})")
            return ()
