"""The receiver, over real sockets."""

import http.client
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from pipelines.webhooks.server import Limits, RateLimit, WakeServer

SECRET = "0123456789abcdef"
SMALL = Limits(body_bytes=1000, connection_seconds=30.0, num_connections=4, per_second=0.01, burst=3)


class Receiver:
    def __init__(self, limits=SMALL):
        self.rings = 0
        self.alive = True
        self.server = WakeServer(("127.0.0.1", 0), "X-Wake", SECRET, self.ring, lambda: self.alive, limits)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def ring(self):
        self.rings += 1

    def ask(self, method="POST", path="/webhook", body=b"{}", headers=(("X-Wake", SECRET),)):
        connection = http.client.HTTPConnection(*self.server.server_address, timeout=10)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            response.read()
            return response
        finally:
            connection.close()

    def raw(self):
        return socket.create_connection(self.server.server_address, timeout=10)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def hasty():
    found = Receiver(replace(SMALL, connection_seconds=1.0))
    yield found
    found.close()


def test_a_webhook_with_the_secret_rings(receiver):
    response = receiver.ask(body=b'{"action": "ANNOTATION_CREATED"}')
    assert (response.status, receiver.rings) == (202, 1)
    assert response.headers["Server"] == "activelora-wake"


REFUSED = {
    "no secret": (401, {"headers": ()}),
    "another secret": (401, {"headers": (("X-Wake", "f" * 16),)}),
    "half of it": (401, {"headers": (("X-Wake", SECRET[:8]),)}),
    "not ASCII": (401, {"headers": (("X-Wake", "\xe9" * 16),)}),
    "elsewhere": (404, {"path": "/"}),
    "another method": (501, {"method": "PUT"}),
    "a page": (404, {"method": "GET"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_others_do_not(case, receiver):
    status, request = REFUSED[case]
    assert receiver.ask(**request).status == status
    assert receiver.rings == 0


SIZES = {
    "Content-Length: 1001": 413,
    "Content-Length: 99999999999999999999": 411,
    "Content-Length: -1": 411,
    "Content-Length: \xb2": 411,
    "Transfer-Encoding: chunked": 411,
    "Content-Length: 5\r\nTransfer-Encoding: chunked": 411,
    "X-Nothing: 1": 411,
}


@pytest.mark.parametrize("header", SIZES)
def test_bodies_of_the_wrong_size_are_not_read(header, receiver):
    with receiver.raw() as one:
        one.sendall(f"POST /webhook HTTP/1.1\r\nX-Wake: {SECRET}\r\n{header}\r\n\r\n".encode("latin-1"))
        assert one.makefile("rb").readline().split()[1] == str(SIZES[header]).encode()
    assert receiver.rings == 0


def test_too_many_are_refused_and_the_health_check_is_not(receiver):
    assert [receiver.ask().status for _ in range(5)] == [202, 202, 202, 429, 429]
    for alive, status in ((True, 200), (False, 503)):
        receiver.alive = alive
        assert receiver.ask("GET", "/healthz", None, ()).status == status


def test_a_sender_that_drips_is_cut_off(hasty):
    begun = time.monotonic()
    with hasty.raw() as one:
        one.sendall(b"POST /webhook HTTP/1.1\r\n")
        with suppress(ConnectionError):
            while time.monotonic() - begun < 8:
                one.sendall(b"X-A: b\r\n")
                time.sleep(0.05)
    assert time.monotonic() - begun < 8, "nobody cut it off"
    assert hasty.rings == 0


def test_a_crowd_without_the_secret_does_not_keep_others_out(receiver):
    crowd = [receiver.raw() for _ in range(4)]
    crowd[1].sendall(b"POST /webhook HTTP/1.1\r\nX-Wake: wrong\r\n")
    time.sleep(0.2)
    assert receiver.ask().status == 202
    assert crowd[0].recv(1) == b""  # the oldest made room
    crowd[3].settimeout(0.2)
    with pytest.raises(TimeoutError):
        crowd[3].recv(1)
    for one in crowd:
        one.close()


def test_those_with_the_secret_are_not_cut_off_to_make_room(receiver):
    head = f"POST /webhook HTTP/1.1\r\nX-Wake: {SECRET}\r\nContent-Length: 2\r\n\r\n".encode()
    known = [receiver.raw() for _ in range(3)]
    for one in known:
        one.sendall(head)
    wait_for(lambda: receiver.rings == 3)
    with receiver.raw() as stranger, receiver.raw() as another:
        assert stranger.recv(1) == b""
        another.settimeout(0.2)
        with pytest.raises(TimeoutError):
            another.recv(1)
    for one in known:
        one.sendall(b"{}")
        assert one.makefile("rb").readline().split()[1] == b"202"
        one.close()


def test_where_all_have_the_secret_another_is_refused(receiver):
    receiver.server.rate = RateLimit(1.0, 9)
    head = f"POST /webhook HTTP/1.1\r\nX-Wake: {SECRET}\r\nContent-Length: 2\r\n\r\n".encode()
    known = [receiver.raw() for _ in range(4)]
    for one in known:
        one.sendall(head)
    wait_for(lambda: receiver.rings == 4)
    with receiver.raw() as another:
        assert another.recv(1) == b""
    known.pop().close()
    wait_for(lambda: receiver.ask("GET", "/healthz", None, ()).status == 200)
    for one in known:
        one.close()


def wait_for(holds):
    deadline = time.monotonic() + 8
    while True:
        with suppress(http.client.HTTPException, OSError):
            if holds():
                return
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
