"""May this identity make this request (contract 7.access)?"""

from dataclasses import dataclass
from enum import StrEnum

from mesh.decide.request import Request
from mesh.decide.routes import first_fit
from mesh.model.policy import Target
from mesh.model.reason import Reason, reason_id
from mesh.model.sidecar_config import SidecarConfig


class Ground(StrEnum):
    """What in the deciding policy allows a request, or that none is needed."""

    NOT_ENFORCED = "not_enforced"
    TRANSPARENT = "transparent"
    EVERYTHING = "everything"
    TCP = "tcp"
    MATCH = "match"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``policy`` decided; when it was by ``Ground.MATCH``, ``match`` is the position of the match in its target."""

    is_allowed: bool
    ground: Ground | None = None
    reason: Reason | None = None
    policy: str = ""
    match: int | None = None

    @property
    def reason_id(self) -> str:
        """The id of the refusal, empty when allowed."""
        return reason_id(self.reason, self.policy) if self.reason else ""


def judge_access(config: SidecarConfig, request: Request) -> Verdict:
    """Tell whether pods that do as *config* says let *request* in, and by which rule of which TrafficTarget.

    The first target that allows it decides; when none does, the first that names the caller. Raises BadTargetError.
    """
    if config.transparent:
        return Verdict(True, Ground.TRANSPARENT)
    if not config.access_enforced:
        return Verdict(True, Ground.NOT_ENFORCED)
    if not request.identity:
        return Verdict(False, reason=Reason.ACCESS_PLAINTEXT)
    named = [target for target in config.targets if _names(target, request)]
    if not named:
        return Verdict(False, reason=Reason.ACCESS_NO_TARGET)
    for target in named:
        verdict = _by_rules(target, request)
        if verdict is not None:
            return verdict
    return Verdict(False, reason=Reason.ACCESS_NO_RULE, policy=named[0].policy)


def _names(target: Target, request: Request) -> bool:
    return request.identity in target.sources and target.port in {0, request.port}


def _by_rules(target: Target, request: Request) -> Verdict | None:
    if target.everything:
        return Verdict(True, Ground.EVERYTHING, policy=target.policy)
    if not request.is_http:
        return Verdict(True, Ground.TCP, policy=target.policy) if target.tcp else None
    # A search that was given up allows nothing.
    match = first_fit(target.matches, request)
    return None if match is None else Verdict(True, Ground.MATCH, policy=target.policy, match=match)
