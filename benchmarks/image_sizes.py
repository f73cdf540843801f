"""Measure the images that `images/build.sh` built: `python benchmarks/image_sizes.py REGISTRY TAG`, as root."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NAMES = ("activelora-cpu", "activelora-gpu")
MEGABYTE = 1e6


def podman(*arguments: str) -> str:
    """Return what podman prints."""
    command = [str(ROOT / "images" / "podman.sh"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def measure(image: str) -> dict[str, Any]:
    """Return size, layers and contents of an image.

    Args:
        image: Its name with tag.
    """
    found = json.loads(podman("image", "inspect", image))[0]
    history = json.loads(podman("history", "--format", "json", "--no-trunc", image))
    bill = json.loads(podman("run", "--rm", "--network=none", image, "cat", "/opt/activelora/sbom.cdx.json"))
    versions = {component["name"]: component.get("version", "") for component in bill["components"]}
    return {
        "megabytes": round(found["Size"] / MEGABYTE),
        "user": found["Config"]["User"],
        "layers": [
            {"megabytes": round(layer["size"] / MEGABYTE, 1), "made_by": layer["CreatedBy"][:100]}
            for layer in reversed(history)
            if layer["size"] > MEGABYTE / 10
        ],
        "num_python_packages": len(versions),
        "torch": versions.get("torch", ""),
    }


def main(registry: str, tag: str) -> None:
    """Print the sizes and write them to benchmarks/results.

    Args:
        registry: Before the images' names.
        tag: After them.
    """
    sizes = {name: measure(f"{registry}/{name}:{tag}") for name in NAMES}
    lines = ["# Image sizes", "", "Uncompressed, as built by `images/build.sh`.", ""]
    lines += ["| image | MB | torch | Python packages | user |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {one['megabytes']} | {one['torch']} | {one['num_python_packages']} | {one['user']} |"
        for name, one in sizes.items()
    ]
    text = "\n".join(lines) + "\n"
    (RESULTS / "images.json").write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "images.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
