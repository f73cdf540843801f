#!/usr/bin/env bash
# Builds both images with podman, and writes their sizes to benchmarks/results/images.json and images.md.
#   images/build.sh                        as root; REGISTRY, TAG, BASE_IMAGE, TORCH_INDEX_URL, GPU_TORCH_INDEX_URL
# Where no registry can be reached and BASE_IMAGE is not set, Debian's own packages make the base image.
# The machine's pip settings and certificates are used in the build, and are not in the images.
set -euo pipefail
cd "$(dirname "$0")/.."

registry=${REGISTRY:-localhost}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
tag=${TAG:-$version}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
podman=images/podman.sh

registry_answers() {
    curl --silent --output /dev/null --max-time 10 https://registry-1.docker.io/v2/
}

# Debian's Python without pip: what builds the images brings its own.
debian_base() {
    echo "+ debootstrap: no registry can be reached" >&2
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$scratch/root" >&2
    rm -rf "$scratch/root/var/cache/apt" "$scratch/root/var/lib/apt/lists" "$scratch/root/usr/share/doc"
    tar -C "$scratch/root" -c . | "$podman" import --quiet - localhost/activelora-base:bookworm >&2
    rm -rf "$scratch/root"
    echo localhost/activelora-base:bookworm
}

# Mounts for the build: pip's settings as it sees them here, and every file and folder that they name.
pip_mounts() {
    python3 - "$scratch/pip.conf" <<'PYTHON'
import re, subprocess, sys
from pathlib import Path

lines = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
settings = {}
for key, value in re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", lines.stdout, re.MULTILINE):
    settings[key] = value  # the environment comes last in the list, or first: it agrees or is alone in practice
paths = {path for value in settings.values() for path in re.findall(r"(?:^|\s|file://)(/[^\s]+)", value)}
kept = "".join(f"{key} = {value}\n" for key, value in settings.items())
Path(sys.argv[1]).write_text(f"[global]\n{kept}")
for path in sorted(paths):
    folder = Path(path).parent if path.endswith("/simple") else Path(path)  # a local index keeps its files beside it
    if folder.exists():
        print(f"--volume={folder}:{folder}:ro")
PYTHON
    echo "--volume=$scratch/pip.conf:/etc/pip.conf:ro"
}

build() { # name, torch index
    echo "+ build activelora-$1"
    local begin=$SECONDS
    "$podman" build --layers --format docker --network=host "${mounts[@]}" --file "images/Dockerfile.$1" \
        --build-arg "TORCH_INDEX_URL=$2" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" \
        "${base[@]}" --tag "$registry/activelora-$1:$tag" . 2>&1 |
        grep --line-buffered -v 'is ignored: it is neither a file nor a directory'
    echo "activelora-$1: $((SECONDS - begin)) s"
}

if [ -z "${BASE_IMAGE:-}" ] && ! registry_answers; then
    "$podman" image exists localhost/activelora-base:bookworm || debian_base >/dev/null
    BASE_IMAGE=localhost/activelora-base:bookworm
fi
base=()
if [ -n "${BASE_IMAGE:-}" ]; then
    base=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
fi
revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
mapfile -t mounts < <(pip_mounts)
cpu_index=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
build cpu "$cpu_index"
build gpu "${GPU_TORCH_INDEX_URL-}"
python3 benchmarks/image_sizes.py "$registry" "$tag"
