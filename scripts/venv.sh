#!/bin/sh
# Make .venv hold what requirements/tests.txt locks (it includes requirements.txt), with meshctl on its PATH.
# Does nothing when it already does; two runs at once wait for each other. PYTHON names another interpreter.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

mkdir -p .venv
exec 9>.venv/lock
flock 9
digest=$(cat requirements/tests.txt scripts/venv.sh | sha256sum | cut -c1-16)
if [ "$(cat .venv/digest 2>/dev/null || true)" = "$digest" ]; then
    exit 0
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed, $python is $("$python" --version); set PYTHON to another one" >&2
    exit 1
}
echo "python: installs requirements/tests.txt into .venv" >&2
"$python" -m venv .venv || {
    echo "python -m venv failed; on Debian: apt-get install python3-venv" >&2
    exit 1
}
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tests.txt >&2

# The checkout itself is importable and its scripts are there, without files of an installed project in the checkout.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pwd >"$site/nginx-mesh.pth"
for name in meshctl nginx-meshctl; do
    printf '#!%s/.venv/bin/python\nimport sys\n\nfrom mesh.ctl.main import main\n\nsys.exit(main())\n' "$PWD" \
        >".venv/bin/$name.new"
    chmod 755 ".venv/bin/$name.new"
    mv ".venv/bin/$name.new" ".venv/bin/$name"
done
printf '%s' "$digest" >.venv/digest
