"""The two small bus messages beside configurations: a sidecar's report and the controller's beacon (design 7).

Reports inform the status only. Nothing that must be safe is decided by them alone: any sidecar may send any report.
Standard library only: agents import it.
"""

from dataclasses import dataclass
from typing import Any

from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.model import codec


@dataclass(frozen=True, slots=True)
class SidecarReport:
    """What a sidecar says of itself when it starts, when it has applied a configuration and when it refused one.

    ``revision`` and ``digest`` name what NGINX serves now, empty before the first; ``refused`` is the reason why a newer one
    was not taken, or what of this one cannot be judged; ``svid_not_after`` is in seconds since 1970, 0 without an SVID;
    ``version`` is that of the sidecar image. ``mode`` is the mTLS mode that NGINX serves in, empty when not said, and
    ``transparent`` whether it passes everything through.
    """

    pod: str
    group: str
    revision: str = ""
    digest: str = ""
    refused: str = ""
    svid_serial: str = ""
    svid_not_after: int = 0
    version: str = ""
    mode: str = ""
    transparent: bool = False


@dataclass(frozen=True, slots=True)
class Beacon:
    """The controller's sign of life: its epoch, and the highest revision that it has published.

    A sidecar that sees a new epoch, or a first beacon after silence, reads its last configuration again.
    """

    revision: codec.Revision


_TEXTS = {
    "pod": "pod",
    "group": "group",
    "revision": "revision",
    "digest": "digest",
    "refused": "refused",
    "svid_serial": "svidSerial",
    "version": "version",
    "mode": "mode",
}
_NOT_AFTER = "svidNotAfter"
_TRANSPARENT = "transparent"


def encode_report(report: SidecarReport) -> bytes:
    """Write a report as canonical JSON; white space in its texts becomes single blanks."""
    document: dict[str, Any] = {key: " ".join(getattr(report, field).split()) for field, key in _TEXTS.items()}
    return codec.canonical_json(document | {_NOT_AFTER: report.svid_not_after, _TRANSPARENT: report.transparent})


def decode_report(payload: bytes) -> SidecarReport:
    """Read a report; unknown fields are ignored. Raises InvalidInputError."""
    document = _load(payload)
    texts = {field: document.get(key, "") for field, key in _TEXTS.items()}
    for field, value in texts.items():
        # Not printable: lone surrogates and line breaks, which would fail or forge lines in the log.
        if not (isinstance(value, str) and value.isprintable()):
            raise _invalid(_TEXTS[field], value, "printable text")
    not_after = document.get(_NOT_AFTER, 0)
    if not isinstance(not_after, int) or isinstance(not_after, bool) or not_after < 0:
        raise _invalid(_NOT_AFTER, not_after, "seconds since 1970")
    return SidecarReport(**texts, svid_not_after=not_after, transparent=document.get(_TRANSPARENT) is True)


def encode_beacon(beacon: Beacon) -> bytes:
    """Write a beacon as canonical JSON."""
    return codec.canonical_json({"revision": str(beacon.revision)})


def decode_beacon(payload: bytes) -> Beacon:
    """Read a beacon; unknown fields are ignored. Raises InvalidInputError."""
    revision = _load(payload).get("revision", "")
    if not isinstance(revision, str):
        raise _invalid("revision", revision, "text")
    return Beacon(codec.parse_revision(revision))


def _load(payload: bytes) -> dict[str, Any]:
    document = codec.load_json(payload)
    if not isinstance(document, dict):
        raise _invalid("document", document, "an object")
    return document


def _invalid(place: str, got: object, takes: str) -> InvalidInputError:
    return InvalidInputError([Problem(place, quote(got), takes)])
