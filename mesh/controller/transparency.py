"""The way of a mesh to transparent proxies and back, and the end of its MeshConfig, as decisions (contract 10.transparent).

Pure: the state, the sidecars' acknowledgements and the clock as values; what to say and to do next as a value. A strict
sidecar refuses the plaintext of one that is transparent already, so the way leads through OPENING, there and back:
everybody takes plaintext first, and only then stops encrypting. The phase is kept in the MeshConfig's condition, so
that every replica of the controller, and the next one, compiles the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.api.mtls import MtlsMode
from mesh.model.reports import SidecarReport
from mesh.model.transparency import Phase, Reason

_NAMED: Final = 10
STOPPED: Final = (Reason.OPENING_STOPPED, Reason.SPREADING_STOPPED)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now.

    ``guarded``: the webhook that refuses to delete the MeshConfig stands, so the mesh is meant to live. ``asked``:
    ConfigMap ``meshconfig`` asks for transparent proxies. ``anyway``: no sidecar is to be waited for. ``fleet`` is the
    last report of every live sidecar, None for one that is silent; the whole is None while the pods are not known.
    ``waited_seconds``: since wish or phase last changed; ``limit_seconds``: how long to wait in a phase.
    """

    phase: Phase
    exists: bool = True
    deleting: bool = False
    held: bool = True
    guarded: bool = True
    asked: bool = False
    anyway: bool = False
    namespace_ends: bool = False
    fleet: Mapping[str, SidecarReport | None] | None = None
    waited_seconds: float = 0.0
    limit_seconds: float = 15.0

    @property
    def removing(self) -> bool:
        """Whether the MeshConfig goes because the mesh goes."""
        return self.exists and self.deleting and not self.guarded

    @property
    def wish(self) -> bool:
        """Whether the proxies are to be transparent."""
        return self.asked or self.removing


@dataclass(frozen=True, slots=True)
class Decision:
    """What to say, and what to do with the MeshConfig.

    ``pods`` are those that are waited for. ``restore``: make it again. ``hold``: it must not go without the
    controller. ``release``: let it go. ``flag``: what ConfigMap ``meshconfig`` is to say of transparent, None to leave it.
    """

    phase: Phase
    reason: Reason
    message: str
    transparent: bool = False
    pods: tuple[str, ...] = ()
    restore: bool = False
    hold: bool = False
    release: bool = False
    flag: bool | None = None


def decide(facts: Facts) -> Decision:
    """Take the next step."""
    if not facts.exists:
        restore = facts.guarded and not facts.namespace_ends
        # Nobody is told to proxy again by the end of the object that said otherwise.
        return Decision(
            facts.phase, Reason.PROXYING, "there is no MeshConfig", restore=restore, flag=False if restore else None
        )
    if facts.wish:
        phase, reason, message, pods = _forth(facts)
    else:
        phase, reason, message, pods = _back(facts)
    is_transparent = reason is Reason.ACKNOWLEDGED
    done = facts.phase is Phase.TRANSPARENT and (is_transparent or facts.anyway)
    return Decision(
        phase,
        reason,
        message,
        is_transparent,
        pods,
        hold=not (facts.deleting or facts.held or facts.namespace_ends),
        release=facts.held and (facts.namespace_ends or (facts.deleting and (facts.guarded or done))),
        flag=_flag(facts),
    )


_Step = tuple[Phase, Reason, str, tuple[str, ...]]


def _forth(facts: Facts) -> _Step:
    if facts.fleet is None and not facts.anyway:
        phase = Phase.OPENING if facts.phase is Phase.PROXYING else facts.phase
        return phase, Reason.OPENING if phase is Phase.OPENING else Reason.SPREADING, "the pods are not known yet", ()
    fleet = facts.fleet or {}
    is_late = facts.waited_seconds >= facts.limit_seconds
    strict = tuple(pod for pod, report in sorted(fleet.items()) if not _takes_plaintext(report))
    proxying = tuple(pod for pod, report in sorted(fleet.items()) if not (report and report.transparent))
    if facts.phase is Phase.PROXYING:
        return Phase.OPENING, Reason.OPENING, _progress("accept plaintext", strict, len(fleet)), strict
    if facts.phase is Phase.OPENING and strict and not facts.anyway and (facts.removing or not is_late):
        if is_late:
            return Phase.OPENING, Reason.OPENING_STOPPED, _stopped(strict), strict
        return Phase.OPENING, Reason.OPENING, _progress("accept plaintext", strict, len(fleet)), strict
    if facts.phase is Phase.TRANSPARENT and not proxying:
        return Phase.TRANSPARENT, Reason.ACKNOWLEDGED, f"all {len(fleet)} sidecars are transparent", ()
    if facts.phase is Phase.TRANSPARENT and is_late:
        return Phase.TRANSPARENT, Reason.SPREADING_STOPPED, _stopped(proxying), proxying
    return Phase.TRANSPARENT, Reason.SPREADING, _progress("are transparent", proxying, len(fleet)), proxying


def _back(facts: Facts) -> _Step:
    fleet = facts.fleet or {}
    passing = tuple(pod for pod, report in sorted(fleet.items()) if report and report.transparent)
    is_over = facts.fleet is not None and (not passing or facts.waited_seconds >= facts.limit_seconds)
    if facts.phase is Phase.PROXYING or (facts.phase is Phase.OPENING and is_over):
        return Phase.PROXYING, Reason.PROXYING, "traffic is proxied", ()
    return Phase.OPENING, Reason.RETURNING, _progress("proxy again", passing, len(fleet)), passing


def _flag(facts: Facts) -> bool | None:
    if not facts.deleting:
        return None
    # A deletion that the mesh outlives is no wish of anybody's any more.
    return not facts.guarded


def _takes_plaintext(report: SidecarReport | None) -> bool:
    return report is not None and (report.transparent or report.mode in {MtlsMode.PERMISSIVE, MtlsMode.OFF})


def _progress(what: str, waiting: Sequence[str], total: int) -> str:
    text = f"{total - len(waiting)} of {total} sidecars {what}"
    return f"{text}; waiting for {_names(waiting)}" if waiting else text


def _stopped(waiting: Sequence[str]) -> str:
    return (
        f"no acknowledgement from {_names(waiting)}; repair or delete these pods, or annotate the MeshConfig to go on "
        "without them (docs/operations/remove.md)"
    )


def _names(pods: Sequence[str]) -> str:
    more = len(pods) - _NAMED
    return ", ".join(pods[:_NAMED]) + (f" and {more} more" if more > 0 else "")
