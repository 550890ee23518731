"""nginx's own C sources, of the version that Debian trixie packages: for what is tested outside Debian's binary.

apt fetches and verifies the original tarball (nginx-dev carries headers only). It is kept in the cache.
"""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tests.nginx import binary

REPOSITORY = f"deb-src [signed-by={binary.KEYRING}] http://deb.debian.org/debian trixie main\n"
CORE = Path(__file__).parent / "core.c"
MODULE = binary.SOURCE / "module"
# Of nginx's core, what the parts of our module that know no connection are linked with.
NGINX_PARTS = (
    "core/ngx_string",
    "core/ngx_rbtree",
    "core/ngx_crc32",
    "core/ngx_murmurhash",
    "core/ngx_palloc",
    "os/unix/ngx_alloc",
)
_TLS = re.compile(r"openssl/|ngx_mesh_(identity|record)\.h")
NGINX_HEADERS = ("src/core", "src/event", "src/os/unix", "objs")


def ensure() -> Path:
    """The unpacked sources, configured for this machine's compiler: headers and the core, no http, no TLS."""
    root = binary.ensure().root
    with binary.locked() as place:
        tarball = original(place, root)
        target = place / f"core-{tarball.name.removesuffix('.orig.tar.gz')}"
        if not target.exists():
            part = unpack(tarball, binary.fresh(target))
            command = ["./configure", "--with-debug", "--without-http", "--without-pcre"]
            binary.run(command, place / "configure.log", part)
            part.rename(target)
        # The one header of PCRE2 belongs to no compiler: a machine needs the library alone.
        shutil.copy(root / "usr/include/pcre2.h", target / "objs")
        return target


def original(place: Path, root: Path) -> Path:
    """The tarball of the version that is installed in *root*, in *place*."""
    query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat=${source:Upstream-Version}"]
    version = subprocess.run([*query, "nginx"], capture_output=True, text=True, check=True).stdout
    tarball = place / f"nginx_{version}.orig.tar.gz"
    if not tarball.exists():
        work = binary.fresh(place / "apt")
        (work / "lists/partial").mkdir(parents=True)
        (work / "cache/archives/partial").mkdir(parents=True)
        (work / "sources.list").write_text(REPOSITORY)
        options = {
            "Dir::Etc::sourcelist": work / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": work / "lists",
            "Dir::State::status": "/dev/null",
            "Dir::Cache": work / "cache",
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", *(f"-o{key}={value}" for key, value in options.items())]
        binary.run([*apt, "update"], place / "apt.log", work)
        binary.run([*apt, "source", "--download-only", "--tar-only", "nginx"], place / "apt.log", work)
        shutil.move(work / tarball.name, tarball)
        shutil.rmtree(work)
    return tarball


def unpack(tarball: Path, target: Path) -> Path:
    """Put the sources at *target*."""
    with tarfile.open(tarball) as archive:
        archive.extractall(target, filter="data")
    [folder] = target.iterdir()
    for entry in list(folder.iterdir()):
        entry.rename(target / entry.name)
    folder.rmdir()
    return target


def parts(nginx: Path, *more: str) -> list[Path]:
    """The C files of a program of nginx's core and those of our module that know no connection and no TLS; *more* of it.

    The linker takes what the program uses: no list of files has to follow the module's.
    """
    ours = [path for path in sorted(MODULE.glob("ngx_mesh_*.c")) if not _TLS.search(path.read_text())]
    ours += [MODULE / name for name in more]
    return [CORE, *ours, *(nginx / "src" / f"{part}.c" for part in NGINX_PARTS)]


def options(nginx: Path) -> list[str]:
    """The compiler's options for them."""
    choosing = ["-ffunction-sections", "-fdata-sections", "-fvisibility=hidden", "-Wl,--gc-sections"]
    patterns = ["-Wl,--push-state,--no-as-needed,-l:libpcre2-8.so.0,--pop-state"]
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]
    return (
        choosing
        + warnings
        + patterns
        + [f"-I{folder}" for folder in (CORE.parent, MODULE, *(nginx / part for part in NGINX_HEADERS))]
    )


def digest(nginx: Path, files: Iterable[Path], command: Iterable[str]) -> str:
    """A short name for a program of *files* and these parts, compiled by *command*, in which paths do not count."""
    words = [nginx.name, *(word for word in command if "/" not in word)]
    used = sorted([*files, CORE, CORE.with_suffix(".h"), *MODULE.iterdir()])
    return binary.digest(" ".join(words).encode() + b"".join(path.read_bytes() for path in used))
