"""What only S3 and the network can do wrong."""

import socket
import uuid

import pytest

from activelora.campaign.s3 import S3Store
from activelora.errors import StoreError
from tests.campaign.faulty_proxy import CUT, LOSE, PASS, running_proxy
from tests.s3_server import ACCESS_KEY, SECRET_KEY


@pytest.fixture
def proxy(s3_server, s3_uri, monkeypatch):
    with running_proxy(s3_server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        yield proxy


@pytest.fixture
def one_try(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def refused(operation, *arguments):
    with pytest.raises(StoreError) as caught:
        operation(*arguments)
    text = str(caught.value)
    assert SECRET_KEY not in text
    assert ACCESS_KEY not in text
    return text


def test_a_create_whose_answer_is_lost_and_that_is_repeated_won(proxy, s3_uri):
    store = S3Store(s3_uri)
    proxy.plan = [LOSE]
    assert store.create("a", b"mine")
    assert proxy.requests[:2] == ["PUT lose", "PUT pass"]
    assert store.read("a") == b"mine"


def test_a_create_all_of_whose_answers_are_lost_won(proxy, s3_uri, one_try):
    store = S3Store(s3_uri)
    proxy.plan = [LOSE]
    assert store.create("a", b"mine")
    assert proxy.requests == ["PUT lose", "GET pass"]


def test_a_create_that_lost_says_so_even_if_its_answer_is_lost(proxy, s3_uri, monkeypatch):
    S3Store(s3_uri).create("a", b"theirs")
    proxy.plan = [LOSE]
    assert not S3Store(s3_uri).create("a", b"mine")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    proxy.plan = [LOSE]
    assert not S3Store(s3_uri).create("a", b"mine")
    assert S3Store(s3_uri).read("a") == b"theirs"


def test_a_create_that_never_arrived_is_an_error(proxy, s3_uri, one_try):
    store = S3Store(s3_uri)
    proxy.plan = ["500 InternalError"]
    assert "overloaded or broken (InternalError). Run again" in refused(store.create, "a", b"mine")
    assert not store.exists("a")


def test_a_conflict_with_another_conditional_request_is_tried_again(proxy, s3_uri):
    store = S3Store(s3_uri)
    proxy.plan = ["409 ConditionalRequestConflict", "409 ConditionalRequestConflict"]
    assert store.create("a", b"mine")
    assert store.read("a") == b"mine"


def test_a_conflict_that_never_ends_is_an_error(proxy, s3_uri):
    proxy.plan = ["409 ConditionalRequestConflict"] * 5
    assert "kept refusing to create the object" in refused(S3Store(s3_uri).create, "a", b"mine")


def test_a_busy_server_is_asked_again(proxy, s3_uri):
    store = S3Store(s3_uri)
    proxy.plan = ["503 SlowDown"]
    store.write("a", b"1")
    proxy.plan = ["500 InternalError"]
    assert store.read("a") == b"1"


def test_a_download_that_breaks_off_is_repeated(proxy, s3_uri, tmp_path):
    store = S3Store(s3_uri)
    store.write("a", b"0123456789" * 1000)
    proxy.plan = [CUT, CUT]
    assert store.read("a") == b"0123456789" * 1000
    proxy.plan = [PASS, CUT]
    with store.open("a") as file:
        assert file.read() == b"0123456789" * 1000


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("403 InvalidAccessKeyId", "credentials are not accepted (InvalidAccessKeyId). Set AWS_ACCESS_KEY_ID"),
        ("403 SignatureDoesNotMatch", "credentials are not accepted (SignatureDoesNotMatch). Set AWS_ACCESS_KEY_ID"),
        ("400 ExpiredToken", "have expired (ExpiredToken). Renew them"),
        ("403 AccessDenied", "do not allow this (AccessDenied). They need s3:GetObject"),
        ("404 NoSuchBucket", "the bucket does not exist (NoSuchBucket). Create it"),
        ("403 RequestTimeTooSkewed", "clock differs from the server's (RequestTimeTooSkewed). Set the clock"),
        ("503 SlowDown", "overloaded or broken (SlowDown). Run again"),
        ("507 QuotaExceeded", "storage is full (QuotaExceeded). Free some space"),
        ("501 NotImplemented", "does not know conditional writes (If-None-Match)"),
        ("418 Teapot", "the S3 server refused the request (Teapot)"),
    ],
)
def test_every_refusal_says_what_it_is_and_what_to_do(proxy, s3_uri, one_try, tmp_path, answer, said):
    store = S3Store(s3_uri)
    file = tmp_path / "file"
    file.write_bytes(b"1")
    for operation, arguments in (
        (store.create, ("a", b"1")),
        (store.write, ("a", b"1")),
        (store.upload, ("a", file)),
        (store.read, ("a",)),
        (store.list, ("a",)),
        (store.delete, ("a",)),
    ):
        proxy.plan = [answer]
        text = refused(operation, *arguments)
        assert text.startswith(f"{s3_uri}/a: ")
        assert said in text


def test_no_credentials(s3_uri, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for operation in (S3Store(s3_uri).read, S3Store(s3_uri).exists, S3Store(s3_uri).list):
        assert "no usable S3 credentials were found. Set AWS_ACCESS_KEY_ID" in refused(operation, "a")


def test_wrong_credentials(s3_uri, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "are not accepted (SignatureDoesNotMatch)" in refused(S3Store(s3_uri).read, "a")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    assert "are not accepted (InvalidAccessKeyId)" in refused(S3Store(s3_uri).read, "a")
    assert "do not allow this (403)" in refused(S3Store(s3_uri).exists, "a")


def test_a_profile_that_does_not_exist(s3_uri, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "the profile named by AWS_PROFILE does not exist" in refused(S3Store, s3_uri)


def test_a_missing_bucket_is_not_a_missing_object(s3_uri):
    store = S3Store(f"s3://no-bucket-{uuid.uuid4().hex[:8]}/x")
    for operation in (store.read, store.open, store.exists, store.list):
        assert "the bucket does not exist (NoSuchBucket). Create it" in refused(operation, "a")


def test_an_endpoint_that_does_not_answer(s3_uri, monkeypatch, one_try):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://user:{SECRET_KEY}@127.0.0.1:{port}")
        store = S3Store(s3_uri)
        text = refused(store.create, "a", b"1")
    assert f"http://127.0.0.1:{port} cannot be reached (EndpointConnectionError). Check AWS_ENDPOINT_URL" in text


def test_an_endpoint_that_is_none(s3_uri, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "localhost:1")
    assert "the S3 settings cannot be used (ValueError). Check AWS_ENDPOINT_URL" in refused(S3Store, s3_uri)


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///x", "s3://ab/x", "s3://Upper/x", "s3://me:secret@bucket/x", "s3://a b/x"]
)
def test_uris_that_are_no_s3_place(uri):
    text = refused(S3Store, uri)
    assert "is not an S3 place. Write s3://bucket/prefix" in text
    assert "secret" not in text


@pytest.mark.parametrize("uri", ["s3://bucket/../x", "s3://bucket//x", "s3://bucket/a/./b"])
def test_prefixes_that_climb_are_refused(uri):
    assert "which S3 takes as a part of the name" in refused(S3Store, uri)


def test_stores_of_one_bucket_do_not_see_each_other(s3_uri):
    one, other = S3Store(s3_uri), S3Store(f"{s3_uri}-more/")
    one.write("a", b"1")
    other.write("b", b"2")
    assert list(one.list("")) == ["a"]
    assert list(other.list("")) == ["b"]
    assert other.uri == f"{s3_uri}-more"


def test_a_whole_bucket_is_a_store(s3_server, s3_uri):
    bucket = f"whole-{uuid.uuid4().hex[:8]}"
    store = S3Store(f"s3://{bucket}/")
    assert store.uri == f"s3://{bucket}"
    assert store.create("a/b", b"1")
    assert list(store.list("a/")) == ["a/b"]


def test_aws_is_addressed_by_virtual_host_and_others_by_path(s3_uri, monkeypatch):
    def url(store):
        return store._client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"})

    assert "/bucket/k?" in url(S3Store(s3_uri))
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert url(S3Store(s3_uri)).startswith("https://bucket.s3.")
