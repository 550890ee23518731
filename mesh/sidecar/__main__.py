"""``python -m mesh.sidecar``: see :mod:`mesh.sidecar.main`."""

from mesh.sidecar.main import main

raise SystemExit(main())
