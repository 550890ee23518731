"""The NGINX under test: Debian trixie's package with our modules, made once per content and kept in the cache.

mmdebstrap makes a trixie root with what the modules are built with; dataplane/nginx/module/build.sh runs inside it, as in
the image build. NGINX then runs in that root, in a mount namespace of its own (tests/nginx/sidecar.py).
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from embedded.tools.paths import cache_root

SOURCE = Path(__file__).resolve().parents[2] / "dataplane" / "nginx"
PACKAGES = (
    "nginx",
    "libnginx-mod-stream",
    "nginx-dev",
    "gcc",
    "libc6-dev",
    "make",
    "libssl-dev",
    "libpcre2-dev",
    "zlib1g-dev",
)
BUILD_SECONDS = 600
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Enter a root with some folders of the machine at their places, and without the machine's capabilities: $1 and $2... to --.
_ENTER = """
root="$1"; shift
mount --bind /proc "$root/proc"
while [ "$1" != -- ]; do mkdir -p "$root$1"; mount --bind "$1" "$root$1"; shift; done
shift
exec chroot "$root" setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


@dataclass(frozen=True)
class Binary:
    """A Debian root, the folder of all modules that the configuration loads, and the nginx that loads them."""

    root: Path
    modules: Path
    program: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def ensure() -> Binary:
    """Build what is missing and say where it is."""
    with locked() as place:
        root = debian(place, PACKAGES)
        return Binary(root, _modules(place, root), root / "usr/sbin/nginx")


def debian(place: Path, packages: Sequence[str]) -> Path:
    """A Debian trixie root with *packages*, in the locked *place*."""
    root = place / f"root-{digest(' '.join(packages).encode())}"
    if not root.exists():
        part = fresh(root)
        included = f"--include={','.join(packages)}"
        command = ["mmdebstrap", "--variant=minbase", f"--keyring={KEYRING}", included, "trixie", str(part)]
        run(command, place / "root.log")
        (part / "run/nginx-mesh").mkdir()
        part.chmod(0o755)
        part.rename(root)
    return root


def _modules(place: Path, root: Path) -> Path:
    module = SOURCE / "module"
    content = b"".join(path.name.encode() + path.read_bytes() for path in sorted(module.iterdir()))
    target = place / f"modules-{digest(root.name.encode() + content)}"
    if not target.exists():
        part = fresh(target)
        inside = root / "build"
        shutil.rmtree(inside, ignore_errors=True)
        shutil.copytree(module, inside / "module")
        run(["chroot", str(root), "/build/module/build.sh", "/build/out"], place / "modules.log")
        shutil.copytree(inside / "out", part)
        shutil.copy(root / "usr/lib/nginx/modules/ngx_stream_module.so", part)
        shutil.rmtree(inside)
        part.chmod(0o755)
        part.rename(target)
    return target


def fresh(target: Path) -> Path:
    """Where *target* is made, empty: it is renamed when it is whole."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    return part


def run(command: list[str], log: Path, directory: Path | None = None) -> None:
    """Run a step of a build; its output is in *log* and, when it fails, in the error."""
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{log.read_text(errors='replace')[-4000:]}")


def inside(root: Path, folders: Sequence[Path], command: Sequence[str]) -> list[str]:
    """*command* as run in *root*, where *folders* of this machine are seen at their own paths."""
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _ENTER, "sh"]
    return [*enter, str(root), *map(str, folders), "--", *command]


def digest(content: bytes) -> str:
    """A short name for *content*."""
    return hashlib.sha256(content).hexdigest()[:16]


@contextmanager
def locked() -> Iterator[Path]:
    """The folder of the cache that holds all of this, for one process at a time."""
    place = cache_root() / "nginx-test"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def is_root() -> bool:
    """Network namespaces and other users take root."""
    return os.geteuid() == 0
