"""The agent's judgement: what happened and what is known, to what is known now and what to do about it. Pure.

The edges post events and carry out actions, one event at a time. Nothing here waits, reads a clock or a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.model import codec, delta, reports
from mesh.model.sidecar_config import SidecarConfig
from mesh.sidecar.control import Status
from mesh.spiffe.workload_api import X509Context

# The leader sends a beacon every 5 s. After this silence the next one may come from a leader that knows nothing of us.
SILENCE_SECONDS = 15.0
# A beacon that is newer than what was read last means news for some group. A connection that loses messages ends, and the
# next one begins with reading; this finds what nobody thought of, and is rare, because it is a whole configuration.
RECHECK_SECONDS = 600.0
STATE_FILE = "state"


@dataclass(frozen=True, slots=True)
class State:
    """What the agent knows.

    ``accepted`` is the configuration that NGINX should have, ``applied`` the last that it took, ``rejected`` the
    revision of one that it did not take. ``status`` is what NGINX says that it has. ``refused`` is why the newest
    configuration is not applied; empty when it is. ``read_for`` is the beacon at the last reading.
    """

    pod: str
    group: str
    version: str = ""
    identity: X509Context | None = None
    accepted: codec.Decoded | None = None
    applied: codec.Decoded | None = None
    rejected: codec.Revision | None = None
    status: Status = Status()
    refused: str = ""
    draining: bool = False
    beacon: codec.Revision | None = None
    beacon_at: float = 0.0
    read_at: float = 0.0
    read_for: codec.Revision | None = None

    @property
    def config(self) -> SidecarConfig | None:
        """The configuration that NGINX should have."""
        return self.accepted.config if self.accepted else None

    @property
    def revision(self) -> codec.Revision | None:
        """Of the newest configuration that this sidecar has seen, also from before the agent's start."""
        seen = [self.accepted.revision] if self.accepted else []
        if self.rejected:
            seen.append(self.rejected)
        try:
            seen.append(codec.parse_revision(self.status.revision))
        except InvalidInputError:
            pass  # NGINX has none yet.
        return max(seen, default=None)


@dataclass(frozen=True, slots=True)
class IdentityArrived:
    identity: X509Context


@dataclass(frozen=True, slots=True)
class ConfigArrived:
    """A whole configuration message, its chunks joined."""

    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class DeltaArrived:
    """A change of the configuration, or the notice that there is one."""

    headers: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class ManifestArrived:
    """A configuration in chunks was announced."""


@dataclass(frozen=True, slots=True)
class BeaconArrived:
    payload: bytes
    at: float


@dataclass(frozen=True, slots=True)
class BusConnected:
    at: float


@dataclass(frozen=True, slots=True)
class NginxRuns:
    """NGINX was started or found running; ``status`` is what it has applied by itself."""

    status: Status


@dataclass(frozen=True, slots=True)
class Applied:
    """NGINX took everything that it was given, and says what it has now."""

    status: Status


@dataclass(frozen=True, slots=True)
class ApplyRefused:
    """NGINX refused a file; the old one is back in its place. ``reason`` has a line per file, its name first.

    ``revision`` is the one of the state that was tried.
    """

    revision: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReportDue:
    """Time for a report without an occasion."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    pass


Event = (
    IdentityArrived
    | ConfigArrived
    | DeltaArrived
    | ManifestArrived
    | BeaconArrived
    | BusConnected
    | NginxRuns
    | Applied
    | ApplyRefused
    | ReportDue
    | StopRequested
)


@dataclass(frozen=True, slots=True)
class Apply:
    """Bring NGINX to the state's identity and configuration."""


@dataclass(frozen=True, slots=True)
class Send:
    report: reports.SidecarReport


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """Read the group's last configuration; *spread*: after a random moment, as every sidecar does it now."""

    spread: bool = False


@dataclass(frozen=True, slots=True)
class Drain:
    pass


@dataclass(frozen=True, slots=True)
class Say:
    """One line for the log."""

    text: str
    fields: Mapping[str, str]
    problem: bool = False


Action = Apply | Send | ReadConfig | Drain | Say
Outcome = tuple[State, list[Action]]


def step(state: State, event: Event) -> Outcome:
    """Take one event."""
    match event:
        case IdentityArrived(identity):
            said = Say("new certificate", {"spiffe_id": identity.svid.spiffe_id, "serial": identity.svid.serial})
            return replace(state, identity=identity), [said, Apply()]
        case ConfigArrived(headers, payload):
            return _take_config(state, headers, payload)
        case DeltaArrived(headers, payload):
            return _take_delta(state, headers, payload)
        case ManifestArrived():
            return state, [ReadConfig()]
        case BeaconArrived(payload, at):
            return _take_beacon(state, payload, at)
        case BusConnected(at):
            return replace(state, read_at=at), [ReadConfig(), Send(report(state))]
        case NginxRuns(status):
            after = replace(state, status=status)
            return after, [Apply(), Send(report(after)), *([Drain()] if state.draining else [])]
        case Applied(status):
            return _take_applied(state, status)
        case ApplyRefused(revision, reason):
            return _take_refusal(state, revision, reason)
        case ReportDue():
            return state, [Send(report(state))]
        case StopRequested():
            return replace(state, draining=True), [Drain()]


def report(state: State) -> reports.SidecarReport:
    """What the controller is told: what NGINX has, never what it should have."""
    has_accepted = state.accepted is not None and state.status.revision == str(state.accepted.revision)
    return reports.SidecarReport(
        pod=state.pod,
        group=state.group,
        revision=state.status.revision if state.status.revision != "-" else "",
        digest=state.accepted.digest if state.accepted and has_accepted else "",
        refused=state.refused or state.status.unsearchable,
        svid_serial=state.status.svid_serial,
        svid_not_after=state.status.svid_not_after,
        version=state.version,
        mode=state.status.mode,
        transparent=state.status.transparent,
    )


def _take_config(state: State, headers: Mapping[str, str], payload: bytes) -> Outcome:
    """Read a whole configuration."""
    try:
        decoded = codec.decode(headers, payload)
    except InvalidInputError as error:
        after = replace(state, refused=str(error))
        return after, [
            Say("bad configuration, the last good one is kept", {"reason": str(error)}, True),
            Send(report(after)),
        ]
    return _take_newer(state, decoded)


def _take_delta(state: State, headers: Mapping[str, str], payload: bytes) -> Outcome:
    """Change what is accepted. Whatever does not fit is no fault: what the stream keeps is at least as new."""
    accepted = state.accepted
    if accepted is None or not delta.fits(accepted, headers):
        return state, [] if _is_old(state, headers) else [ReadConfig()]
    try:
        return _take_newer(state, delta.decode(accepted, headers, payload))
    except InvalidInputError as error:
        return state, [Say("a delta that does not fit, reading the whole", {"reason": str(error)}), ReadConfig()]


def _is_old(state: State, headers: Mapping[str, str]) -> bool:
    """Whether a message says nothing new, such as one that was read from the stream before it was heard."""
    try:
        revision = codec.parse_revision(headers.get(names.HEADER_REVISION, ""))
    except InvalidInputError:
        return False
    known = state.revision
    return known is not None and (revision < known or (revision == known and _is_known(state, known)))


def _take_newer(state: State, decoded: codec.Decoded) -> Outcome:
    """Accept what is newer. Equal ones are taken once after the agent's start, which knows only their number."""
    known = state.revision
    if known is not None and (decoded.revision < known or (decoded.revision == known and _is_known(state, known))):
        return state, []
    after = replace(state, accepted=decoded, rejected=None, refused="")
    said = Say("new configuration", {"revision": str(decoded.revision)})
    # After the agent's start: NGINX has it already, so no answer of NGINX will be news, but its digest is.
    return after, [said, Apply(), *([Send(report(after))] if decoded.revision == known else [])]


def _is_known(state: State, revision: codec.Revision) -> bool:
    """Whether the document of this revision was seen: after the agent's start only its number may be."""
    return state.rejected == revision or (state.accepted is not None and state.accepted.revision == revision)


def _take_beacon(state: State, payload: bytes, at: float) -> Outcome:
    try:
        revision = reports.decode_beacon(payload).revision
    except InvalidInputError as error:
        return state, [Say("bad beacon", {"reason": str(error)}, True)]
    after = replace(state, beacon=revision, beacon_at=at)
    has_new_leader = state.beacon is not None and revision.epoch > state.beacon.epoch
    if has_new_leader or at - max(state.beacon_at, state.read_at) > SILENCE_SECONDS:
        return replace(after, read_at=at, read_for=revision), [ReadConfig(spread=True), Send(report(after))]
    if revision != state.read_for and at - state.read_at > RECHECK_SECONDS:
        return replace(after, read_at=at, read_for=revision), [ReadConfig(spread=True)]
    return after, []


def _take_applied(state: State, status: Status) -> Outcome:
    is_current = state.accepted is None or status.revision == str(state.accepted.revision)
    after = replace(
        state,
        status=status,
        applied=state.accepted if is_current else state.applied,
        refused="" if is_current and state.rejected is None else state.refused,
    )
    if (after.status, after.refused) == (state.status, state.refused):
        return after, []
    actions: list[Action] = [Send(report(after))]
    if status.unsearchable and status.unsearchable != state.status.unsearchable:
        actions.insert(0, Say("patterns that NGINX cannot search", {"reason": status.unsearchable}, True))
    if status.ready and not state.status.ready:
        actions.insert(0, Say("ready", {"revision": status.revision}))
    return after, actions


def _take_refusal(state: State, revision: str, reason: str) -> Outcome:
    """Fall back to the configuration before, unless a newer one has come meanwhile; never try the refused one again."""
    after = replace(state, refused=reason)
    is_config = any(line.startswith(STATE_FILE) for line in reason.splitlines())
    if is_config and state.accepted and str(state.accepted.revision) == revision:
        after = replace(after, accepted=state.applied, rejected=state.accepted.revision)
    said = Say("refused by NGINX, what it had serves on", {"revision": revision, "reason": reason}, True)
    return after, [said, Send(report(after))]
