"""The images of the mesh, and of the third-party roles in a cluster that cannot pull: built here, loaded, never pushed.

Each image has one Containerfile, which docker buildx builds as well; ``images.build`` is the local way: it makes the
Debian root with mmdebstrap, prepares one context folder per image and hands both to buildah.
"""
