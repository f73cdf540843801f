# For the scripts beside it: pinned packages in a temporary folder, and a comparison with the output that was seen.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Make a virtual environment of pinned packages, and enter it and the temporary folder.
environment() { # package==version...
    python3 -m venv "$scratch/venv"
    # shellcheck disable=SC1091
    source "$scratch/venv/bin/activate"
    python -m pip install --quiet --disable-pip-version-check "$@"
    cd "$scratch"
    unset PYTHONPATH
    export PYTHONWARNINGS=ignore
}

# Run standard input as a Python program and compare what it prints, on lines that begin with `> `, with what was seen.
program_prints() { # what was seen
    cat > program.py
    python program.py > output.txt 2> errors.txt || { tail -n 20 errors.txt >&2; exit 1; }
    sed -n 's/^ *> //p' output.txt > seen.txt
    if ! diff <(printf '%s\n' "$1") seen.txt; then
        echo "the behaviour has changed" >&2
        exit 1
    fi
    cat seen.txt
    echo "as described"
}
