"""A real Label Studio server for tests: its own virtual environment in the user's cache, sqlite, no calls home.

``python -m tests.labeling.label_studio.server`` installs it beforehand, with the standard library alone.
"""

import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "1.23"
EMAIL, PASSWORD = "admin@example.com", "not-a-secret-1"
LEGACY_TOKEN = "0123456789abcdef0123456789abcdef01234567"
START_SECONDS = 240
_QUIET = {"COLLECT_ANALYTICS": "0", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "LATEST_VERSION_CHECK": "0"}
_USER = {
    "LABEL_STUDIO_USERNAME": EMAIL,
    "LABEL_STUDIO_PASSWORD": PASSWORD,
    "LABEL_STUDIO_USER_TOKEN": LEGACY_TOKEN,
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "1",
}


class CannotInstallError(Exception):
    """pip cannot fetch Label Studio here."""


def home() -> Path:
    """Where the virtual environment and a data folder with a migrated data base are kept."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "activelora" / f"label-studio-{VERSION}"


def prepare() -> Path:
    """Install Label Studio and make a fresh data base, unless that was done; return the folder of both.

    Raises:
        CannotInstallError: pip cannot fetch it.
    """
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "bin" / "label-studio").exists():
            _install(folder)
        if not (folder / "fresh").exists():
            shutil.rmtree(folder / "making", ignore_errors=True)
            with Server(folder, folder / "making").running():
                pass
            (folder / "making").rename(folder / "fresh")
    return folder


def _install(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", f"label-studio=={VERSION}.*"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CannotInstallError(f"pip cannot install label-studio {VERSION}: {result.stderr[-300:]}")


@dataclass
class Server:
    """Label Studio with its data in a folder, with more settings in its environment."""

    folder: Path
    data: Path
    port: int = field(default_factory=lambda: _free_port())
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator["Server"]:
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        command = [str(self.folder / "bin" / "label-studio"), "start", "-b", "--internal-host", "127.0.0.1"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LABEL_STUDIO")}
        places = {"LABEL_STUDIO_BASE_DATA_DIR": str(self.data), "XDG_CONFIG_HOME": str(self.data / "config")}
        environment = {**kept, **_QUIET, **_USER, **places, **self.settings}
        with (self.data / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "-p", str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.data,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.data / "server.log").read_text(errors="replace")
                raise RuntimeError(f"Label Studio did not start: {log_text[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):  # it ended by itself; why is in its log
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def _is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # pip and the server must not outlive it
    prepare()
