"""``python -m mesh.ctl`` is meshctl."""

from mesh.ctl.main import main

main()
