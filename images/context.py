"""The build context of an image: every input in one folder, and the digest that names the result.

The digest covers the inputs and not the output: the same sources, locks, binaries and base give the same tag on every
machine, and a built image is found again without building it.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

from images.catalogue import Image
from images.closure import import_closure

ROOT = Path(__file__).resolve().parent.parent
TAG_LENGTH = 16

# Wheels are chosen for the base's Python and libc, not for the interpreter that runs this program.
_WHEELS_FOR = (
    *("--python-version", "3.13", "--implementation", "cp", "--only-binary", ":all:"),
    *("--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"),
    *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_34_x86_64"),
)
_LEFT_OUT = ("__pycache__", "*.pyc", "*.o", "*.so", ".*")
PIP_TIMEOUT_SECONDS = 600


class ContextError(RuntimeError):
    """An input of an image is missing or could not be fetched; the message names it."""


def source_files(image: Image, root: Path = ROOT) -> dict[str, Path]:
    """Return where each text input of *image* goes in its context, and where it comes from."""
    folder = root / "images" / image.folder
    files = {
        file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if _is_source(file, folder)
    }
    files |= {f"app/{file.as_posix()}": root / file for file in import_closure(root, *image.processes)}
    for tree in image.trees:
        present = [file for file in sorted((root / tree).rglob("*")) if _is_source(file, root)]
        if not present:
            raise ContextError(f"{image.name}: folder {tree} is empty or absent")
        files |= {file.relative_to(root).as_posix(): file for file in present}
    if image.requirements:
        files["requirements.txt"] = root / "requirements" / f"{image.requirements}.txt"
    return files


def digest(image: Image, files: Mapping[str, Path], tools: Mapping[str, Path], base_tag: str) -> str:
    """Return the tag of *image*: a digest of every input's place, content and executable bit, and of the base."""
    total = hashlib.sha256(f"{image.name}\0{image.title}\0{base_tag if image.needs_base else ''}\0".encode())
    for place, file in sorted({**files, **{f"bin/{name}": path for name, path in tools.items()}}.items()):
        executable = bool(file.stat().st_mode & 0o100)
        total.update(f"{place}\0{executable}\0{_file_digest(file)}\0".encode())
    return total.hexdigest()[:TAG_LENGTH]


def prepare(image: Image, files: Mapping[str, Path], tools: Mapping[str, Path], folder: Path) -> None:
    """Fill the empty *folder* with what the Containerfile of *image* copies. Raises ContextError."""
    for place, file in files.items():
        _copy(file, folder / place)
    for name, file in tools.items():
        _copy(file, folder / "bin" / name, mode=0o755)
    if image.requirements:
        _install_wheels(image, files["requirements.txt"], folder / "packages")


def _install_wheels(image: Image, requirements: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--no-compile"]
    command += [*_WHEELS_FOR, "--target", str(target), "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False)
    if result.returncode:
        raise ContextError(
            f"{image.name}: wheels of {requirements.name} could not be installed:\n{result.stderr.strip()}"
        )
    # Console scripts carry the path of this machine's interpreter, and no process of an image runs them.
    shutil.rmtree(target / "bin", ignore_errors=True)


def _is_source(file: Path, root: Path) -> bool:
    """Whether *file* was written by a person: no product of a compiler, no editor's or tool's dot file."""
    parts = file.relative_to(root).parts
    return file.is_file() and not any(fnmatch(part, pattern) for part in parts for pattern in _LEFT_OUT)


def _copy(source: Path, target: Path, mode: int | None = None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode or (0o755 if source.stat().st_mode & 0o100 else 0o644))


def _file_digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
