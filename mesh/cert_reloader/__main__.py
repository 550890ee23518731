"""``python -m mesh.cert_reloader [--once]``: see :mod:`mesh.cert_reloader.main`."""

from mesh.cert_reloader.main import main

raise SystemExit(main())
