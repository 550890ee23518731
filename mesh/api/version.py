"""The version of the mesh: images, sidecars' annotation, `meshctl version`."""

from typing import Final

VERSION: Final = "0.1.0"
