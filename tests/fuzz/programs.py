"""The fuzzers of the C module's decoders: a program per target, linked with nginx's core and the sanitizers.

With gcc, of the root that NGINX runs in: seeds and random changes of them (replay.c). With clang: libFuzzer.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.seeds import SEEDS
from tests.fuzz.words import WORDS
from tests.nginx import binary, source

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
CLANG_PACKAGES = ("clang", "libclang-rt-dev", "libc6-dev", "libssl-dev")
# What a target needs beyond the parts of the module that know no connection and no TLS.
MORE = {
    "hello": ("ngx_stream_mesh_hello.c",),
    "request": ("ngx_http_mesh_match.c", "ngx_http_mesh_syntax.c"),
    "chunked": ("ngx_http_mesh_chunked.c",),
    "record": ("ngx_mesh_record.c", "ngx_mesh_record_open.c", "ngx_mesh_record_keys.c"),
    "pem": ("ngx_mesh_identity.c", "ngx_mesh_chains.c"),
    "certificate": ("ngx_mesh_identity.c", "ngx_mesh_chains.c"),
}
# And of nginx.
MORE_OF_NGINX = {"request": ("core/ngx_list", "http/ngx_http_parse"), "chunked": ("http/ngx_http_parse",)}
HTTP_HEADERS = ("src/http", "src/http/modules")
LIBRARIES = ("-lssl", "-lcrypto")
# nginx's own hash shifts bytes into the sign, it copies nothing at NULL, and it compares words at any address (tests/nginx/undefined.txt).
SANITIZERS = ["address", "undefined"]
TOLERATED = ["-fno-sanitize=shift,nonnull-attribute,alignment"]


@dataclass(frozen=True)
class Programs:
    """Where the programs are, and the Debian root that they run in."""

    root: Path
    folder: Path

    def command(self, target: str, arguments: Sequence[str], folder: Path) -> list[str]:
        """A program's command; *folder* and what is in it can be named in *arguments*."""
        return binary.inside(self.root, [self.folder, folder], [str(self.folder / target), *arguments])


def sources(name: str, nginx: Path) -> list[Path]:
    """What a target is made of, but for what calls it."""
    more = (nginx / "src" / f"{part}.c" for part in MORE_OF_NGINX.get(name, ()))
    return [HERE / f"target_{name}.c", *source.parts(nginx, *MORE.get(name, ())), *more]


def options(nginx: Path) -> list[str]:
    """The compiler's options for every target."""
    return [f"-I{HERE}", *(f"-I{nginx / folder}" for folder in HTTP_HEADERS), *source.options(nginx)]


def ensure(*, engine: bool) -> Programs:
    """Build what is missing: with libFuzzer as *engine*, or with the replayer."""
    nginx = source.ensure()
    replay_root = binary.ensure().root
    with binary.locked() as place:
        root = binary.debian(place, CLANG_PACKAGES) if engine else replay_root
        compiler = ["clang"] if engine else ["gcc"]
        # libFuzzer's tables of what is covered name every function: the linker can leave none out.
        compiler += ["-fno-pie", "-no-pie", "-Wl,--unresolved-symbols=ignore-all"] * engine
        used = ",".join(["fuzzer"] * engine + SANITIZERS)
        compiler += [f"-fsanitize={used}", "-fno-sanitize-recover=all", *TOLERATED, "-O1", "-g", "-DNGX_DEBUG_PALLOC=1"]
        made_of = source.digest(nginx, HERE.glob("*.[ch]"), [root.name, *compiler])
        target = place / f"fuzz-{made_of}"
        if not target.exists():
            part = binary.fresh(target)
            part.mkdir()
            for name in SEEDS:
                files = [*sources(name, nginx), *([] if engine else [HERE / "replay.c"])]
                output = ["-o", str(part / name), *LIBRARIES]
                command = [*compiler, *options(nginx), *map(str, files), *output]
                binary.run(binary.inside(root, [REPOSITORY, place], command), place / "fuzz.log")
            part.rename(target)
        return Programs(root, target)


def write_seeds(name: str, folder: Path) -> list[str]:
    """Put a target's seeds into *folder*; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"seed-{number:02}" for number, _ in enumerate(SEEDS[name]())]
    for path, content in zip(paths, SEEDS[name](), strict=True):
        path.write_bytes(content)
    return list(map(str, paths))


def write_dictionary(name: str, path: Path) -> None:
    """Write a target's words as libFuzzer reads them."""
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS[name])
    path.write_text("".join(f'"{word}"\n' for word in quoted))


def run(command: Sequence[str], limit_seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it says is in ``stdout``."""
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_seconds, check=False
    )
