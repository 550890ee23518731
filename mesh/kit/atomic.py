"""Files that a reader sees whole or not at all."""

import os
from pathlib import Path


def write(path: Path | str, data: bytes, mode: int = 0o644) -> None:
    """Put *data* at *path* by rename, with *mode* from the first byte on, so that a secret is never readable wider.

    The temporary file is a hidden neighbour named after the process, so that a writer that was killed leaves one at
    most. Raises OSError and leaves the old file in place.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data)
        temporary.rename(target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_if_changed(path: Path | str, data: bytes, mode: int = 0o644) -> bool:
    """Like ``write``, but leave a file alone that already holds *data*. Returns whether it was written."""
    try:
        if Path(path).read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    write(path, data, mode)
    return True
