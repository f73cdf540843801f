"""A campaign store in S3, or in any server that speaks its protocol and honours ``If-None-Match: *``."""

from __future__ import annotations

import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from activelora.campaign.keys import Listed, check_key, check_prefix
from activelora.campaign.s3_errors import error_code, explain, is_cut_off, was_repeated
from activelora.config.outside_names import crooked, straightened
from activelora.errors import StoreError
from activelora.redacting import redact

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from mypy_boto3_s3 import S3Client

_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?", re.DOTALL)
_PART_BYTES = 16 << 20
_TRIES = 5


class S3Store:
    """Objects are S3 objects under ``s3://bucket/prefix``.

    Endpoint, region and credentials come from boto3's usual places: ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``,
    ``AWS_DEFAULT_REGION``, ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, ``AWS_PROFILE``, a role.
    ``AWS_MAX_ATTEMPTS`` bounds the tries of one request (5). Nothing is contacted before the first operation.

    Args:
        uri: ``s3://bucket/prefix``, without credentials in it.

    Raises:
        StoreError: The URI, the endpoint or the profile cannot be used.
    """

    def __init__(self, uri: str) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise StoreError(
                "is not an S3 place",
                where=redact(uri),
                remedy="Write s3://bucket/prefix; credentials belong in the environment, not in the URI.",
            )
        self._bucket = match["bucket"]
        if (problem := crooked(uri)) is not None:
            raise StoreError(problem, where=redact(uri), remedy=f"Write {straightened(redact(uri))}.")
        prefix = (match["prefix"] or "").removesuffix("/")
        self._prefix = f"{check_key(prefix)}/" if prefix else ""
        self._bucket_seen = False
        with self._explained(""):
            self._client = _connect()

    @property
    def uri(self) -> str:
        """The ``s3://bucket/prefix``."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def endpoint_url(self) -> str:
        """The server's address, as environment and profile name it."""
        return self._client.meta.endpoint_url

    def read(self, key: str) -> bytes:
        """Return the object's content; a download that breaks off is repeated, which botocore does not do."""
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        with self._explained(key):
            for attempt in range(_TRIES):
                body = self._client.get_object(Bucket=self._bucket, Key=self._name(key))["Body"]
                try:
                    return body.read()
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    if attempt == _TRIES - 1:
                        raise
                    time.sleep(0.05 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def open(self, key: str) -> BinaryIO:
        """Download the object into a temporary file that vanishes when closed, a part at a time."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            with self._explained(key), self._bucket_checked():
                self._client.download_fileobj(self._bucket, self._name(key), file, Config=_transfer())
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def write(self, key: str, content: bytes) -> None:
        """Put the object; one that is large, in parts that become visible together."""
        self._put_file(key, io.BytesIO(content))

    def create(self, key: str, content: bytes) -> bool:
        """Put the object with ``If-None-Match: *``.

        An answer can be lost on its way back. botocore then repeats the request, and the repetition finds the object
        that the first try wrote (412). Or all tries fail, although one of them was carried out. In both cases what
        is stored tells: it is this call's content, or another's. If even that cannot be read, the error leaves open
        whether the object was written, and the caller must not remove anything that it names.
        """
        name = self._name(key)
        with self._explained(key):
            for attempt in range(_TRIES):
                try:
                    self._client.put_object(Bucket=self._bucket, Key=name, Body=content, IfNoneMatch="*")
                    return True
                except Exception as error:
                    code = error_code(error)
                    if code == "PreconditionFailed":
                        return was_repeated(error) and self.read(key) == content
                    if is_cut_off(error):
                        return self._wrote(key, content, error)
                    if code != "ConditionalRequestConflict":
                        raise
                    # Another conditional request or a deletion of this key was under way: nothing was written.
                    time.sleep(0.05 * 2**attempt)
        raise StoreError(
            "the server kept refusing to create the object because of conflicting requests",
            where=f"{self.uri}/{key}",
            remedy="Run again: finished steps are kept.",
        )

    def upload(self, key: str, path: Path) -> None:
        """Put the file; one that is large, in parts that become visible together."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from error
        with file:
            self._put_file(key, file)

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        try:
            with self._explained(key), self._bucket_checked():
                self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        except KeyError:
            return False
        return True

    def list(self, prefix: str) -> Iterator[str]:
        """List all pages, then sort: not every server lists in the order of S3."""
        return (one.key for one in self.list_versions(prefix))

    def list_versions(self, prefix: str) -> Iterator[Listed]:
        """List as :meth:`list` does; the version is ETag, size and time of the last change."""
        with self._explained(check_prefix(prefix)):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            found = [
                Listed(
                    entry["Key"].removeprefix(self._prefix),
                    f"{entry['ETag']}-{entry['Size']}-{entry['LastModified'].timestamp()}",
                )
                for page in pages
                for entry in page.get("Contents", ())
                if not entry["Key"].endswith("/")
            ]
        return iter(sorted(found, key=lambda one: one.key))

    def delete(self, key: str) -> None:
        """Delete the object."""
        with self._explained(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _put_file(self, key: str, file: BinaryIO) -> None:
        with self._explained(key):
            self._client.upload_fileobj(file, self._bucket, self._name(key), Config=_transfer())

    def _wrote(self, key: str, content: bytes, error: Exception) -> bool:
        """Tell whether a call whose answer was lost wrote the object."""
        try:
            return self.read(key) == content
        except KeyError:
            raise error from None

    @contextmanager
    def _bucket_checked(self) -> Iterator[None]:
        """Tell a missing bucket from a missing object: HEAD answers 404 for both."""
        try:
            yield
        except self._client.exceptions.ClientError as error:
            if error_code(error) == "404" and not self._bucket_seen:
                self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
                self._bucket_seen = True
            raise

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, StoreError):
            raise
        except Exception as error:
            where = f"s3://{self._bucket}/{self._prefix}{key}"
            explained = explain(error, key, where, getattr(self, "_client", None))
            if explained is None:
                raise
            raise explained from error


def _connect() -> S3Client:
    import boto3
    from botocore.config import Config

    session = boto3.session.Session()
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=16,
        tcp_keepalive=True,
        retries={"mode": "standard"}
        if "AWS_MAX_ATTEMPTS" in os.environ
        else {"mode": "standard", "total_max_attempts": _TRIES},
    )
    region = session.region_name or "us-east-1"
    client = session.client("s3", region_name=region, config=config)
    if re.search(r"\.amazonaws\.com(\.cn)?/?$", client.meta.endpoint_url):
        return client
    # Other servers seldom have a DNS name for every bucket, nor the newest checksums.
    own = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
    return session.client("s3", region_name=region, config=config.merge(own))


def _transfer() -> TransferConfig:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, max_concurrency=4)
