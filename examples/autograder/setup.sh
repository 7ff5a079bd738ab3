#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image: Python 3.11 or newer, PyTorch without CUDA,
# and the project from what lies beside this file: a wheel (tinycnn_side_by_side-*.whl), or a copy of it (project/).
set -euo pipefail

root="${AUTOGRADER_ROOT:-/autograder}"
source="$root/source"
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    local name
    for name in ${AUTOGRADER_PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if command -v "$name" >/dev/null && "$name" -c "$new_enough"; then
            echo "$name"
            return
        fi
    done
    return 1
}

if ! python="$(find_python)"; then
    apt-get update && apt-get install -y python3.11 python3.11-venv
    python="$(find_python)"
fi
"$python" -m venv "$root/venv" || { # Debian and Ubuntu have venv in a package of its own
    apt-get update && apt-get install -y "$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    "$python" -m venv "$root/venv"
}

shopt -s nullglob
found=("$source"/tinycnn_side_by_side-*.whl)
if [[ -f "$source/project/pyproject.toml" ]]; then
    found+=("$source/project")
fi
if ((${#found[@]} != 1)); then
    echo "error: $source holds ${#found[@]} of tinycnn_side_by_side-*.whl and project/, expected one of them" >&2
    exit 2
fi
# PyTorch's own index of builds for CPUs: those of the default index bring what GPUs need as well.
"$root/venv/bin/python" -m pip install --extra-index-url https://download.pytorch.org/whl/cpu "${found[0]}"
