"""podman's Docker-compatible socket, for tests that run containers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from activelora import __version__

ROOT = Path(__file__).parents[1]
PODMAN = ROOT / "images" / "podman.sh"
START_SECONDS = 30
REGISTRY = "localhost"


def why_not() -> str | None:
    """Return why containers cannot be run here, or None."""
    if shutil.which("podman") is None:
        return "podman is not installed: apt-get install podman runc"
    if os.geteuid() != 0:
        return "podman's system service is started as root here"
    for name in ("activelora-cpu", "activelora-gpu"):
        image = f"{REGISTRY}/{name}:{__version__}"
        if subprocess.run([PODMAN, "image", "exists", image], check=False).returncode != 0:
            return f"there is no image {image}: run images/build.sh"
    return None


@contextmanager
def running_podman(folder: Path) -> Iterator[str]:
    """Start podman's service on a socket of its own, and yield the address for ``DOCKER_HOST``."""
    import docker

    socket = folder / "podman.sock"
    address = f"unix://{socket}"
    command = [PODMAN, "system", "service", "--time=0", address]
    with (folder / "podman.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not socket.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        client = docker.DockerClient(base_url=address)
        client.ping()
        client.close()
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
