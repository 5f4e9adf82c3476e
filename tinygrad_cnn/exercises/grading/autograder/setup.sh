#!/usr/bin/env bash
# Gradescope runs this once, as root, while it builds the image in which submissions are graded.
set -euo pipefail
root="${AUTOGRADER_ROOT:-/autograder}"

# Python 3.11 or newer, with venv: Ubuntu 24.04 has one, 22.04 offers one
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

if ! python=$(find_python); then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y python3 python3-venv
    find_python > /dev/null || apt-get install -y python3.11 python3.11-venv
    python=$(find_python)
fi
"$python" -m venv "$root/venv"
cd "$root/source"  # requirements.txt may name a wheel that lies here
"$root/venv/bin/python" -m pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
