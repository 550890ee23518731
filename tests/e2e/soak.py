"""Whether the long forms of the cases run (`make soak`), or the short ones (`make test`): same assertions."""

import os

SOAK = os.environ.get("MESH_SOAK") == "1"
