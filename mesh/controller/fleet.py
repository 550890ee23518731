"""What every sidecar should serve and what it says that it serves (contract 4.reports). For people and status alone."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from mesh.api.mtls import MtlsMode
from mesh.model.mode_change import ModeChange
from mesh.model.reports import SidecarReport
from mesh.model.snapshot import Pod

REPORT_LIMIT = 20_000
SYNCED = "synced"
STALE = "stale"
REFUSED = "refused"
SILENT = "silent"


@dataclass(frozen=True, slots=True)
class SidecarState:
    """One sidecar: what it should serve (``wanted_digest``) beside its last report.

    ``state``: synced, stale (serves something else), refused (it gives the reason), silent (no report yet).
    """

    pod: str
    group: str
    state: str
    wanted_digest: str
    revision: str = ""
    digest: str = ""
    refused: str = ""
    svid_serial: str = ""
    svid_not_after: int = 0
    version: str = ""
    transparent: bool = False
    seconds_since_report: float | None = None

    def row(self) -> dict[str, object]:
        """The state as JSON has it."""
        return asdict(self)


class Fleet:
    """The last report of every pod, beside what the compiler wants."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[SidecarReport, float]] = {}
        self._digests: Mapping[str, str] = {}
        self._pods: tuple[Pod, ...] = ()
        self._is_told = False
        self._first_seen: dict[str, float] = {}
        self._mode: ModeChange | None = None
        self._at_start: frozenset[str] = frozenset()
        self._acknowledged: set[str] = set()

    def take_report(self, report: SidecarReport, now: float) -> bool:
        """Keep a report, made at *now* on the monotonic clock; say whether it names something new."""
        before = self._reports.get(report.pod)
        if before is None and len(self._reports) >= REPORT_LIMIT:
            return False  # Anybody with an SVID may report under any name.
        self._reports[report.pod] = (report, now)
        self._note(pod for pod in self._pods if pod.key == report.pod)
        return before is None or before[0] != report

    def expect(
        self, pods: Iterable[Pod], digests: Mapping[str, str], now: float, mode: ModeChange | None = None
    ) -> None:
        """Say which injected pods there are and what their groups should serve; others' reports are forgotten.

        *mode* is the step of the mode that they should serve.
        """
        self._pods = tuple(pods)
        self._is_told = True
        self._digests = digests
        known = {pod.key for pod in self._pods}
        self._reports = {pod: entry for pod, entry in self._reports.items() if pod in known}
        self._first_seen = {pod: self._first_seen.get(pod, now) for pod in known}
        if mode != self._mode:
            self._mode, self._at_start, self._acknowledged = mode, frozenset(known), set()
        self._acknowledged &= known
        self._note(self._pods)

    def states(self, now: float) -> list[SidecarState]:
        """Every sidecar, in the order of pods."""
        return [self._state(pod, now) for pod in self._pods]

    def counts(self) -> tuple[int, int]:
        """How many sidecars serve what they should, and how many there are."""
        return sum(map(self._is_synced, self._pods)), len(self._pods)

    def progress(self) -> dict[str, tuple[int, int]]:
        """The same by group."""
        found: dict[str, tuple[int, int]] = {}
        for pod in self._pods:
            synced, total = found.get(pod.group, (0, 0))
            found[pod.group] = (synced + self._is_synced(pod), total + 1)
        return found

    def has_unheard(self) -> bool:
        """Whether a pod that runs has not reported yet, or nobody has said which pods there are."""
        return not self._is_told or any(
            pod.addresses and not pod.terminating and pod.key not in self._reports for pod in self._pods
        )

    def silent(self, now: float, seconds: float) -> list[str]:
        """The pods that have an address, were first seen *seconds* ago or earlier, and have never reported."""
        return [
            pod.key
            for pod in self._pods
            if pod.addresses and pod.key not in self._reports and now - self._first_seen[pod.key] >= seconds
        ]

    def live(self) -> dict[str, SidecarReport | None] | None:
        """The last report of every pod that runs and is not about to end; None for one that has sent none.

        The whole is None while nobody has said which pods there are.
        """
        if not self._is_told:
            return None
        running = [pod for pod in self._pods if pod.addresses and not pod.terminating]
        return {pod.key: self._report(pod) for pod in running}

    def behind(self, mode: ModeChange) -> tuple[str, ...] | None:
        """The pods that run and have not acknowledged a step of the mode; None while nobody was told of that step.

        Who has acknowledged it once has left the step before for good, whatever comes later. A pod that is younger than the step and
        has never reported reads what is kept for its group, which is that step already.
        """
        if mode != self._mode:
            return None
        running = [pod for pod in self._pods if pod.addresses and not pod.terminating]
        heard = [pod.key for pod in running if pod.key in self._reports or pod.key in self._at_start]
        return tuple(sorted(set(heard) - self._acknowledged))

    def versions(self) -> list[str]:
        """The versions of sidecars that run."""
        return sorted({report.version for report, _ in self._reports.values() if report.version})

    def _note(self, pods: Iterable[Pod]) -> None:
        for pod in pods:
            if pod.key in self._acknowledged or not self._is_synced(pod):
                continue
            report = self._report(pod)
            # Who has no certificate cannot answer mutual TLS yet, whatever document it has.
            if report and (report.svid_serial or report.mode == MtlsMode.OFF):
                self._acknowledged.add(pod.key)

    def _is_synced(self, pod: Pod) -> bool:
        report = self._report(pod)
        return report is not None and report.digest == self._digests.get(pod.group, "")

    def _report(self, pod: Pod) -> SidecarReport | None:
        report, _ = self._reports.get(pod.key, (None, 0.0))
        return report if report and report.group == pod.group else None

    def _state(self, pod: Pod, now: float) -> SidecarState:
        wanted = self._digests.get(pod.group, "")
        report = self._report(pod)
        if report is None:
            return SidecarState(pod.key, pod.group, SILENT, wanted)
        when = self._reports[pod.key][1]
        state = SYNCED if report.digest == wanted else REFUSED if report.refused else STALE
        return SidecarState(
            pod.key,
            pod.group,
            state,
            wanted,
            report.revision,
            report.digest,
            report.refused,
            report.svid_serial,
            report.svid_not_after,
            report.version,
            report.transparent,
            round(now - when, 1),
        )
