"""NGINX and our modules with AddressSanitizer and UndefinedBehaviorSanitizer, in place of Debian's binary.

MESH_SANITIZE=1 lets every test of tests/nginx run on it. What they find is in the error log, where each test looks.
"""

import os
import shutil
from pathlib import Path

from tests.nginx import binary, source
from tests.nginx.binary import SOURCE, Binary

SANITIZED = os.environ.get("MESH_SANITIZE") == "1"
HERE = Path(__file__).parent
# What is known and left alone; a process of the root finds them beside the modules.
SUPPRESSIONS = ("leaks.txt", "undefined.txt")
PLACE = "/usr/lib/nginx/modules"
ENVIRONMENT = {
    # Every dynamic module has a list of the same name, as nginx's build writes it.
    "ASAN_OPTIONS": "detect_leaks=1:detect_odr_violation=0:detect_stack_use_after_return=1",
    "LSAN_OPTIONS": f"suppressions={PLACE}/leaks.txt:print_suppressions=0",
    "UBSAN_OPTIONS": f"suppressions={PLACE}/undefined.txt:print_stacktrace=1",
}


def ensure() -> Binary:
    """Build what is missing and say where it is."""
    root = binary.ensure().root
    with binary.locked() as place:
        module = SOURCE / "module"
        steps = [HERE / "sanitize.sh", *sorted(module.iterdir())]
        content = b"".join(path.name.encode() + path.read_bytes() for path in steps)
        target = place / f"sanitized-{binary.digest(root.name.encode() + content)}"
        if not target.exists():
            part = binary.fresh(target)
            inside = root / "build"
            shutil.rmtree(inside, ignore_errors=True)
            source.unpack(source.original(place, root), inside)
            shutil.copytree(module, inside / "mesh-module")
            shutil.copy(HERE / "sanitize.sh", inside)
            # The configure script runs what it compiles, and a sanitized program looks into /proc.
            enter = 'mount --bind /proc "$1/proc"; exec chroot "$@"'
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", enter, "sh", str(root)]
            command += ["/build/sanitize.sh", "/build", "/build/mesh-module", "/build/out"]
            binary.run(command, place / "sanitized.log")
            shutil.copytree(inside / "out", part)
            shutil.rmtree(inside)
            part.chmod(0o755)
            part.rename(target)
        for name in SUPPRESSIONS:
            shutil.copy(HERE / name, target)
        return Binary(root, target, target / "nginx", ENVIRONMENT)
