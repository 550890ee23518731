"""Delete the cache: tools, images and bases, results. Go's own caches and the state of clusters are not touched."""

import shutil

from embedded.tools import paths


def main() -> None:
    """Remove the cache directory, if there is one."""
    root = paths.cache_root()
    if root.exists():
        shutil.rmtree(root)
    print(f"deleted {root}")


if __name__ == "__main__":
    main()
