"""Build what is not built yet: ``python -m images.build [--only NAME]... [--output DIR] [--archives]``.

Prints one JSON object on standard output, role -> image reference (or -> archive with ``--archives``), and progress on
standard error. A second run with unchanged inputs builds nothing and answers in about a second.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded.tools import paths
from embedded.tools.errors import ToolError
from images import buildah, catalogue, context, sbom
from images.catalogue import Image

REGISTRY = "localhost"
KEPT_VERSIONS = 3
# Seconds on two cores with a near mirror, for the progress line only.
_USUAL_SECONDS = {"debian": 45, catalogue.BASE: 25, "nginx-mesh-sidecar": 90, "nginx-mesh-init": 15}
_USUAL_SECONDS_OTHERS = 8

ToolPath = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Built:
    """One image as ``localhost/<name>:<digest of its inputs>``, and the OCI archive that holds it."""

    role: str
    reference: str
    archive: Path


def build(names: tuple[str, ...] = (), folder: Path | None = None, tool_path: ToolPath | None = None) -> list[Built]:
    """Build the images called *names* (all for none) where their inputs changed, one build at a time on a machine.

    Raises KeyError for an unknown name, ContextError for a missing input, BuildError for a failed step.
    """
    images = catalogue.named(names)
    place = folder or paths.cache_root() / "images"
    with _locked(place / "lock"):
        builder = _Builder(place, buildah.Buildah(place), tool_path or _locked_tool)
        base_tag = builder.base() if any(image.needs_base for image in images) else ""
        return [builder.image(image, base_tag) for image in images]


@dataclass(frozen=True, slots=True)
class _Builder:
    folder: Path
    tool: buildah.Buildah
    tool_path: ToolPath

    def base(self) -> str:
        """Build the Debian root and the shared base if they are absent; return the base's tag."""
        suite = f"{buildah.SUITE}-{hashlib.sha256(buildah.DEBIAN_RECIPE.encode()).hexdigest()[: context.TAG_LENGTH]}"
        debian = f"{REGISTRY}/debian:{suite}"
        image = Image(catalogue.BASE, "base", "base: Debian, Python and the mesh's user")
        files = context.source_files(image)
        tag = context.digest(image, files, {}, suite)
        if self.tool.has(f"{REGISTRY}/{image.name}:{tag}"):
            return tag
        root = self.folder / f"debian-{suite}.tar"
        if not root.exists():
            with _progress("debian", suite):
                buildah.debian_root(root, self.folder / "logs")
        with _progress(image.name, tag), self._workspace() as work:
            if not self.tool.has(debian):
                _debian_context(root, work / "debian")
                self.tool.build(
                    work / "debian", debian, {}, _annotations("debian", "Debian, essential packages", suite)
                )
            context.prepare(image, files, {}, work / "base")
            self.tool.build(
                work / "base",
                f"{REGISTRY}/{image.name}:{tag}",
                {"DEBIAN": debian},
                _annotations(image.name, image.title, tag),
            )
        return tag

    def image(self, image: Image, base_tag: str) -> Built:
        """Build and save *image* if its archive is absent."""
        files = context.source_files(image)
        tools = {name: self.tool_path(name) for name in image.tools}
        tag = context.digest(image, files, tools, base_tag)
        built = Built(
            image.name, f"{REGISTRY}/{image.name}:{tag}", self.folder / "archives" / f"{image.name}-{tag}.tar"
        )
        if built.archive.exists():
            os.utime(built.archive)
            return built
        with _progress(image.name, tag), self._workspace() as work:
            context.prepare(image, files, tools, work)
            arguments = {"BASE": f"{REGISTRY}/{catalogue.BASE}:{base_tag}"} if image.needs_base else {}
            self.tool.build(work, built.reference, arguments, _annotations(image.name, image.title, tag))
            sbom.write(built.archive.with_suffix(".spdx.json"), image, built.reference, self.tool, tools, work)
            self.tool.save(built.reference, built.archive)
        self._forget_old(image)
        return built

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        contexts = self.folder / "contexts"
        contexts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=contexts) as name:
            yield Path(name)

    def _forget_old(self, image: Image) -> None:
        """Keep the newest versions of *image*, so that an edited checkout does not fill the disk."""
        archives = sorted(
            (self.folder / "archives").glob(f"{image.name}-*.tar"), key=lambda file: -file.stat().st_mtime
        )
        same_name = [file for file in archives if len(file.stem) == len(image.name) + 1 + context.TAG_LENGTH]
        for archive in same_name[KEPT_VERSIONS:]:
            self.tool.remove(f"{REGISTRY}/{image.name}:{archive.stem.rpartition('-')[2]}")
            archive.with_suffix(".spdx.json").unlink(missing_ok=True)
            archive.unlink(missing_ok=True)


def _debian_context(root: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    os.link(root, folder / "debian.tar")
    (folder / "Containerfile").write_text('FROM scratch\nADD debian.tar /\nCMD ["bash"]\n')


def _annotations(name: str, title: str, version: str) -> dict[str, str]:
    prefix = "org.opencontainers.image"
    return {f"{prefix}.title": name, f"{prefix}.description": title, f"{prefix}.version": version}


def _locked_tool(name: str) -> Path:
    return paths.path_of(name)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the machine-wide build lock; a second builder waits and then finds its images built."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another build of images to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(name: str, tag: str) -> Iterator[None]:
    start = time.monotonic()
    _say(f"image {name}:{tag} ... (usually {_USUAL_SECONDS.get(name, _USUAL_SECONDS_OTHERS)} s)")
    yield
    _say(f"image {name}:{tag} built in {time.monotonic() - start:.0f} s")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def copy_archives(built: list[Built], output: Path) -> list[Built]:
    """Copy each archive and its bill of materials to *output*, for a machine without this cache."""
    output.mkdir(parents=True, exist_ok=True)
    copies = []
    for image in built:
        target = output / image.archive.name
        shutil.copyfile(image.archive, target)
        bill = image.archive.with_suffix(".spdx.json")
        shutil.copyfile(bill, output / bill.name)
        copies.append(Built(image.role, image.reference, target))
    return copies


def as_json(built: list[Built], archives: bool) -> str:
    """Render what the stack (references) or ``load-image`` (archives) reads."""
    values: Mapping[str, str] = {image.role: str(image.archive) if archives else image.reference for image in built}
    return json.dumps(values, indent=2)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 when every image is there, 1 with the reason otherwise."""
    parser = argparse.ArgumentParser(prog="python -m images.build", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="build this image; may be repeated")
    parser.add_argument("--output", type=Path, metavar="DIR", help="copy the OCI archives there, too")
    parser.add_argument("--archives", action="store_true", help="print role -> archive in place of role -> reference")
    options = parser.parse_args(arguments)
    try:
        built = build(tuple(options.only))
    except (buildah.BuildError, context.ContextError, ToolError, FileNotFoundError, KeyError) as error:
        _say(f"images: {error.args[0] if isinstance(error, KeyError) else error}")
        return 1
    if options.output:
        built = copy_archives(built, options.output)
    print(as_json(built, options.archives))
    return 0


if __name__ == "__main__":
    sys.exit(main())
