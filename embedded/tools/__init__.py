"""Every binary that the embedded default runs: pinned in lock.toml, built or fetched once into the cache, verified on use.

Standard library only, so that it runs before any virtual environment exists. Other parts ask `paths.path_of(name)`.
"""
