"""``python -m mesh.init``: see :mod:`mesh.init.main`."""

from mesh.init.main import main

raise SystemExit(main())
