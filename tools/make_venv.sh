#!/bin/sh
# Make the virtual environment $1 and install what the lock file $2 names, then this project.
set -eu
venv=$1 lock=$2
python=${PYTHON:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed; $python is $("$python" -V 2>&1). Name another one: make PYTHON=python3.12 ..." >&2
    exit 1
}
if [ ! -x "$venv/bin/pip" ]; then
    rm -rf "$venv"
    if ! "$python" -m venv "$venv" 2>/dev/null; then
        # Debian ships venv's pip in a package of its own
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            rm -rf "$venv"
            apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
            "$python" -m venv "$venv"
        else
            echo "$python cannot make virtual environments: install python3-venv (apt-get install python3-venv)" >&2
            exit 1
        fi
    fi
fi
[ -x "$venv/bin/uv" ] || "$venv/bin/pip" install -q uv
"$venv/bin/uv" pip install -q --compile-bytecode --python "$venv/bin/python" --require-hashes -r "$lock"
"$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps -e .
touch "$venv/$(case $lock in *dev*) echo installed-dev ;; *) echo installed ;; esac)"
