#!/usr/bin/env bash
# Pins what the images install, with hashes: writes requirements.lock, gpu.lock and build-tools.lock. Needs uv.
#   images/lock.sh [--upgrade]
# torch is not in them: its build (CPU, CUDA) is an argument of the image. Its own requirements are, from the CPU build:
# from PyTorch's index, or from TORCH_FIND_LINKS, a folder of wheels.
set -euo pipefail
cd "$(dirname "$0")"

torch_version=$(sed -n 's/^ARG TORCH_VERSION=//p' Dockerfile.cpu)
torch=(--torch-backend cpu)
if [ -n "${TORCH_FIND_LINKS:-}" ]; then
    torch=(--find-links "$TORCH_FIND_LINKS")
fi
compile() {
    uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
        --no-emit-package torch --constraints <(echo "torch==$torch_version+cpu") \
        --custom-compile-command images/lock.sh "${torch[@]}" "$@"
}
compile ../pyproject.toml requirements.in --extra hub --extra scale --overrides overrides.txt -o requirements.lock "$@"
compile gpu.in --no-deps --constraints requirements.lock -o gpu.lock "$@"
compile build-tools.in -o build-tools.lock "$@"
