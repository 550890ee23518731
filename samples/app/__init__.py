"""A small HTTP server and client of the standard library, for samples and tests. Knows nothing of a mesh."""
