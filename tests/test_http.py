"""The one HTTP client against real sockets: what is repeated, what is too much, and words without secrets."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time

import pytest

from activelora.http import HttpClient, Limits, NoResponseError
from tests.http_server import serving

SECRET = "a-token-for-tests"


@pytest.fixture
def server():
    with serving() as one:
        yield one


def client(**settings):
    limits = {"connect_seconds": 2.0, "read_seconds": 2.0, **settings.pop("limits", {})}
    return HttpClient(Limits(**limits), **{"num_tries": 3, "pause_seconds": 0.001, **settings})


def in_turn(*statuses, **headers):
    """Answer with each status in turn, then with 200."""
    return lambda handler, number: handler.answer([*statuses, *[200] * 9][number - 1], b"x", **headers)


def test_an_answer_is_whole_whatever_its_status(server):
    server.behave = lambda handler, number: handler.answer(404, b"not here", X_Word="yes")
    found = client().request("GET", server.url)
    assert (found.status, found.content, found.headers["x-word"]) == (404, b"not here", "yes")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("method", "is_safe", "status", "num_requests"),
    [
        ("GET", False, 503, 2),
        ("POST", True, 500, 2),
        ("POST", False, 500, 1),
        ("POST", False, 429, 2),
        ("POST", False, 503, 1),
        ("GET", False, 403, 1),
        ("POST", True, 409, 1),
    ],
)
def test_only_what_may_be_done_twice_is_repeated(server, method, is_safe, status, num_requests):
    server.behave = in_turn(status, Retry_After="0")
    found = client().request(method, server.url, is_safe=is_safe)
    assert len(server.seen) == num_requests
    assert found.status == (200 if num_requests == 2 else status)


def test_the_last_answer_is_returned_after_all_tries(server):
    server.behave = in_turn(500, 502, 503, 504)
    assert client().request("GET", server.url).status == 503
    assert len(server.seen) == 3


@pytest.mark.parametrize(("method", "num_requests"), [("GET", 3), ("POST", 1)])
def test_an_answer_that_is_cut_off_is_no_answer(server, method, num_requests):
    server.behave = lambda handler, number: handler.answer(200, b"half", Content_Length=100, Connection="close")
    with pytest.raises(NoResponseError, match="the connection broke") as caught:
        client().request(method, server.url)
    assert len(server.seen) == caught.value.num_tries == num_requests
    assert caught.value.may_have_arrived


def test_pauses_double_and_a_server_is_left_alone_as_long_as_it_asks(server):
    server.behave = in_turn(503, 503)
    begun = time.monotonic()
    client(pause_seconds=0.1).request("GET", server.url)
    assert time.monotonic() - begun >= 0.3
    server.seen.clear()
    server.behave = in_turn(429, Retry_After="1")
    begun = time.monotonic()
    assert client().request("POST", server.url).status == 200
    assert time.monotonic() - begun >= 1.0


@pytest.mark.parametrize("words", ["soon", "0.5", "-1"])
def test_a_pause_that_is_none_is_not_heeded(server, words):
    server.behave = in_turn(503, Retry_After=words)
    assert client().request("GET", server.url).status == 200


def test_no_try_begins_after_the_last_moment(server):
    server.behave = in_turn(*[503] * 8, Retry_After="30")
    begun = time.monotonic()
    assert client(limits={"total_seconds": 0.5}).request("GET", server.url).status == 503
    assert time.monotonic() - begun < 5
    assert len(server.seen) == 1


def test_a_silent_server_is_left(server):
    gone = threading.Event()
    server.behave = lambda handler, number: gone.wait(5)
    with pytest.raises(NoResponseError, match=r"the answer timed out \(0.05 s\)") as caught:
        client(limits={"read_seconds": 0.05}).request("POST", server.url)
    gone.set()
    assert (caught.value.is_slow, caught.value.may_have_arrived, caught.value.num_tries) == (True, True, 1)


def test_a_server_that_drips_is_left(server):
    def drip(handler, number):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x")
            time.sleep(0.01)

    server.behave = drip
    begun = time.monotonic()
    with pytest.raises(NoResponseError, match=r"the answer timed out \(0.2 s\)") as caught:
        client(limits={"answer_seconds": 0.2}, num_tries=1).request("GET", server.url)
    assert time.monotonic() - begun < 3
    assert caught.value.is_slow


def test_an_answer_that_is_too_large_is_left_and_not_asked_for_again(server):
    server.behave = lambda handler, number: handler.answer(200, b"x" * (3 << 20))
    with pytest.raises(NoResponseError, match="longer than 1 MiB"):
        client(limits={"max_bytes": 1 << 20}).request("GET", server.url)
    assert len(server.seen) == 1
    assert len(client().request("GET", server.url).content) == 3 << 20


def test_what_never_arrived_is_repeated():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(NoResponseError, match=r"no connection \(Connection refused\)") as caught:
        client().request("POST", f"http://127.0.0.1:{port}/{SECRET}")
    assert (caught.value.num_tries, caught.value.may_have_arrived) == (3, False)
    with pytest.raises(NoResponseError, match="name cannot be found") as caught:
        client().request("GET", f"http://nowhere.invalid/{SECRET}")
    assert SECRET not in str(caught.value)


def test_redirects_are_followed_only_where_that_is_asked_and_never_with_the_token(server):
    with serving() as other:
        server.behave = lambda handler, number: handler.answer(302, Location=f"{other.url}/there")
        headers = {"Authorization": SECRET}
        assert client().request("GET", server.url, headers=headers).status == 302
        assert other.seen == []
        assert client(num_redirects=1).request("GET", server.url, headers=headers).status == 200
        assert other.seen == [("GET", "/there", None)]
        other.behave = lambda handler, number: handler.answer(302, Location=server.url)
        with pytest.raises(NoResponseError, match="redirected too often"):
            client(num_redirects=2).request("GET", server.url)


@pytest.mark.parametrize("url", ["http://[broken/", "http://127.0.0.1:port/", "ftp://host/", "nothing", "http:///"])
def test_what_is_no_address_is_told_without_it(url):
    with pytest.raises(NoResponseError, match="no URL") as caught:
        client().request("GET", f"{url}{SECRET}")
    assert SECRET not in str(caught.value)
    assert not caught.value.may_have_arrived


def test_a_header_that_cannot_be_sent_is_not_shown(server):
    with pytest.raises(NoResponseError, match="a header is none") as caught:
        client().request("GET", server.url, headers={"Authorization": f"{SECRET}\nmore"})
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__
    assert server.seen == []


def test_proxies_are_used_only_where_that_is_asked(server, monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:pass@"))
    with pytest.raises(NoResponseError, match="name cannot be found"):
        client(num_tries=1).request("GET", "http://nowhere.invalid/x")
    assert client(heeds_proxies=True).request("GET", "http://nowhere.invalid/x").status == 200
    assert server.seen == [("GET", "http://nowhere.invalid/x", None)]
    monkeypatch.setenv("no_proxy", "nowhere.invalid")
    with pytest.raises(NoResponseError, match="name cannot be found"):
        client(num_tries=1, heeds_proxies=True).request("GET", "http://nowhere.invalid/x")
    assert len(server.seen) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(made.public_bytes(pem) + private)
    return path


def test_certificates_are_checked(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as server:
        with pytest.raises(NoResponseError, match=r"certificate is not accepted \(self-signed") as caught:
            client().request("POST", server.url)
        assert (caught.value.num_tries, caught.value.may_have_arrived) == (1, False)
        assert client(ca_path=str(certificate)).request("GET", server.url).content == b"fine"


def test_a_server_without_tls_is_named_as_such(server):
    with pytest.raises(NoResponseError, match=r"no secure connection \(wrong version number|record layer"):
        client().request("GET", server.url.replace("http:", "https:"))
