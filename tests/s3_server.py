"""A real S3 server (SeaweedFS) for tests."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"
BUCKET = "campaigns"
START_SECONDS = 60
START_ATTEMPTS = 3


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    bucket: str = BUCKET

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def find_weed() -> str | None:
    beside_python = Path(sys.executable).with_name("weed")
    return str(beside_python) if beside_python.exists() else shutil.which("weed")


@contextmanager
def running_s3_server(folder: Path, weed: str) -> Iterator[S3Server]:
    """Start SeaweedFS on free ports, wait until it stores an object, and kill it at the end.

    A free port may be taken before the server opens it: then it is started again on others.
    """
    for attempt in range(START_ATTEMPTS):
        own = folder / str(attempt)
        own.mkdir()
        with ExitStack() as stack:
            try:
                server = stack.enter_context(_server(own, weed))
            except RuntimeError:
                if attempt + 1 == START_ATTEMPTS:
                    raise
                continue
            yield server
            return


@contextmanager
def _server(folder: Path, weed: str) -> Iterator[S3Server]:
    identities = folder / "identities.json"
    credentials = [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]
    identities.write_text(
        json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": ["Admin"]}]})
    )
    parts = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3", "s3.grpc")
    ports = dict(zip(parts, _free_ports(len(parts)), strict=True))
    flags = [
        f"-{part.replace('.', '.port.') if '.' in part else part + '.port'}={port}" for part, port in ports.items()
    ]
    data = folder / "data"
    data.mkdir()
    command = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *flags]
    command += [f"-s3.config={identities}", "-volume.max=30", "-master.volumeSizeLimitMB=64"]
    # Parts with fixed ports, so that several servers can run; and no calls home.
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True)
    try:
        server = S3Server(f"http://127.0.0.1:{ports['s3']}")
        _wait_until_it_stores(server, process, folder / "weed.log")
        yield server
    finally:
        with suppress(ProcessLookupError):  # it ended by itself; why is in its log
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_ports(number: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_until_it_stores(server: S3Server, process: subprocess.Popen[bytes], log_path: Path) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5),
    )
    deadline = time.monotonic() + START_SECONDS
    problem: Exception | None = None
    while time.monotonic() < deadline and process.poll() is None:
        try:
            client.put_object(Bucket=server.bucket, Key="ready", Body=b"yes")
            client.get_object(Bucket=server.bucket, Key="ready")["Body"].read()
        except (BotoCoreError, ClientError) as error:
            problem = error
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"SeaweedFS did not start: {problem}\n{log_path.read_text(errors='replace')[-2000:]}")
