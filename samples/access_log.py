"""What a sidecar writes about each request, read back from its container's log in either format of the access log."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The default format (dataplane/nginx/conf/nginx.conf.template): the request and its status, then named fields.
_TEXT = re.compile(
    r'[^"]*"(?P<method>[A-Z]+) (?P<uri>\S+) HTTP/[0-9.]+" (?P<status>[0-9]{3}) .*\bdirection=(?P<direction>incoming|outgoing)'
    r' peer="(?P<peer_identity>[^"]*)" tls="(?P<tls_version>[^"]*)" cipher="(?P<tls_cipher>[^"]*)"'
    r'(?:.* request_id="(?P<request_id>[^"]*)")?'
)


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the server's sidecar saw it; ``identity`` was taken from the certificate that it verified.

    ``identity``, ``tls_version`` and ``tls_cipher`` are empty for plaintext, ``request_id`` where the caller gave none.
    """

    identity: str
    server: str
    method: str
    uri: str
    status: int
    tls_version: str
    tls_cipher: str
    request_id: str = ""


def calls_in(server: str, lines: Iterable[str]) -> Iterator[Call]:
    """Yield the incoming requests among the log *lines* of a sidecar of *server*; other lines are passed over."""
    for line in lines:
        fields = _json_fields(line) if line.startswith("{") else _text_fields(line)
        if fields.get("direction") == "incoming":
            yield Call(
                identity=_known(fields, "peer_identity"),
                server=server,
                method=str(fields["method"]),
                uri=str(fields["uri"]),
                status=int(fields["status"]),
                tls_version=_known(fields, "tls_version"),
                tls_cipher=_known(fields, "tls_cipher"),
                request_id=_known(fields, "request_id"),
            )


def _json_fields(line: str) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return fields if fields.keys() >= {"direction", "method", "uri", "status"} else {}


def _text_fields(line: str) -> dict[str, Any]:
    found = _TEXT.match(line)
    return found.groupdict() if found else {}


def _known(fields: Mapping[str, Any], name: str) -> str:
    """NGINX writes a dash for what does not exist."""
    value = str(fields.get(name) or "")
    return "" if value == "-" else value
