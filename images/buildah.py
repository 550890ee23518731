"""Calls of buildah and mmdebstrap, with a storage of our own below the cache: nothing of the machine is touched."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Every file of every image carries this time: 2025-11-15 00:00:00 UTC, the release of Debian 13.2. Any constant would do.
SOURCE_DATE_EPOCH = 1763164800
BUILD_TIMEOUT_SECONDS = 1200
SUITE = "trixie"
_MIRRORS = (
    f"deb http://deb.debian.org/debian {SUITE} main",
    f"deb http://deb.debian.org/debian {SUITE}-updates main",
    f"deb http://deb.debian.org/debian-security {SUITE}-security main",
)
# What debian:trixie-slim leaves out, too; later package installations keep to it.
_SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
DEBIAN_RECIPE = "\n".join((SUITE, *_MIRRORS, *_SLIM, str(SOURCE_DATE_EPOCH)))
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TAIL_LINES = 30


class BuildError(RuntimeError):
    """A build step failed; the message ends with the last lines that the tool printed, and names its log."""


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah on a private storage in *folder*; logs of each step go to *folder*/logs."""

    folder: Path

    def build(self, context: Path, reference: str, arguments: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Build *context* as *reference*; layers that did not change are taken from the storage. Raises BuildError."""
        command = [
            "build",
            "--isolation",
            "chroot",
            "--layers",
            "--timestamp",
            str(SOURCE_DATE_EPOCH),
            "--format",
            "oci",
        ]
        for key, value in arguments.items():
            command += ["--build-arg", f"{key}={value}"]
        for key, value in labels.items():
            command += ["--annotation", f"{key}={value}", "--label", f"{key}={value}"]
        self._run([*command, "--tag", reference, str(context)], log=reference.rpartition("/")[2])

    def has(self, reference: str) -> bool:
        """Whether *reference* is in the storage."""
        command = [*self._program(), "inspect", "--type", "image", reference]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    def save(self, reference: str, archive: Path) -> None:
        """Write *reference* as an OCI archive; it appears under its name only when it is complete."""
        archive.parent.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(".part")
        part.unlink(missing_ok=True)
        command = ["push", "--quiet", "--format", "oci", reference, f"oci-archive:{part}:{reference}"]
        self._run(command, log="save-" + reference.rpartition("/")[2])
        part.rename(archive)

    def remove(self, reference: str) -> None:
        """Forget *reference*; layers that others use stay. One that is absent is no error."""
        command = [*self._program(), "rmi", "--force", reference]
        subprocess.run(command, capture_output=True, timeout=120, check=False)

    def read_file(self, reference: str, path: str) -> bytes:
        """Return the content of *path* in the image, empty when there is no such file."""
        container = self._output(["from", "--pull-never", reference])
        try:
            mounted = Path(self._output(["mount", container]))
            file = mounted / path.lstrip("/")
            return file.read_bytes() if file.is_file() else b""
        finally:
            self._output(["rm", container])

    def _program(self) -> list[str]:
        storage = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        return ["buildah", *storage, "--storage-driver", "overlay"]

    def _output(self, arguments: list[str]) -> str:
        result = subprocess.run(
            [*self._program(), *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        if result.returncode:
            raise BuildError(f"buildah {arguments[0]}: {result.stderr.strip()}")
        return result.stdout.strip()

    def _run(self, arguments: list[str], log: str) -> None:
        require("buildah")
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        run_logged(
            [*self._program(), *arguments],
            self.folder / "logs" / f"{log.replace(':', '-')}.log",
            {"TMPDIR": str(temporary)},
        )


def debian_root(target: Path, logs: Path) -> None:
    """Make a minimal Debian root (essential packages and apt) as the tar file *target*. Raises BuildError."""
    require("mmdebstrap")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"part-{target.name}")
    command = ["mmdebstrap", "--variant=apt", "--mode=root", "--format=tar", f"--keyring={_KEYRING}"]
    command += [f"--dpkgopt={option}" for option in _SLIM]
    run_logged(
        [*command, SUITE, str(part), *_MIRRORS], logs / "debian.log", {"SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)}
    )
    part.rename(target)


def require(program: str) -> None:
    """Raise BuildError with the remedy when *program* is not installed."""
    if shutil.which(program) is None:
        raise BuildError(f"{program} is not installed; on Debian: apt-get install {program}")


def run_logged(command: list[str], log: Path, environment: Mapping[str, str]) -> None:
    """Run *command* with its output in the file *log*. Raises BuildError with the end of that log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            result = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                timeout=BUILD_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BuildError(f"{command[0]} took longer than {BUILD_TIMEOUT_SECONDS} s; see {log}") from error
    if result.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        raise BuildError(f"{command[0]} failed with status {result.returncode}; the end of {log}:\n{tail}")
