"""The runtime of the mesh: one package per process or pure subject; ARCHITECTURE.md has the map."""
