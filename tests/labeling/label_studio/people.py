"""Annotators who work as a browser does: with an account of their own, a session, and the queue's next task."""

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

CHOICE = "label"


@dataclass
class Person:
    """Someone with an account.

    Attributes:
        url: The server.
        email: Of the account.
        user_id: The account's number.
        cookies: Of the session.
    """

    url: str
    email: str
    user_id: int = 0
    cookies: str = ""

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"Cookie": self.cookies, "X-CSRFToken": self._csrf(), "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        answer = urllib3.request(method, self.url + path, body=content, headers=headers, redirect=False, timeout=60.0)
        return answer.status, json.loads(answer.data) if answer.data else None

    def next_task(self, project: int) -> dict[str, Any] | None:
        """Return what the queue offers now."""
        status, task = self.call("GET", f"/api/projects/{project}/next")
        assert status in (200, 404), task
        return task if status == 200 else None

    def label(self, task: dict[str, Any], choice: str) -> int:
        """Submit a choice; return the annotation's number."""
        return self._submit(task, {"result": result_of(task, {"choices": [choice]}, "choices"), "lead_time": 1.0})

    def answer(self, task: dict[str, Any], kind: str, value: Any) -> int:
        """Submit a value of any kind."""
        return self._submit(task, {"result": result_of(task, {kind: value}, kind.replace("text", "textarea"))})

    def skip(self, task: dict[str, Any]) -> int:
        status, made = self.call("POST", f"/api/tasks/{task['id']}/annotations/", {"result": [], "was_cancelled": True})
        assert status == 201, made
        return int(made["id"])

    def submit_nothing(self, task: dict[str, Any]) -> int:
        return self._submit(task, {"result": []})

    def draft(self, task: dict[str, Any], choice: str) -> None:
        body = {"result": result_of(task, {"choices": [choice]}, "choices"), "lead_time": 1.0}
        status, made = self.call("POST", f"/api/tasks/{task['id']}/drafts", body)
        assert status == 201, made

    def change(self, annotation: int, task: dict[str, Any], choice: str) -> None:
        body = {"result": result_of(task, {"choices": [choice]}, "choices")}
        status, made = self.call("PATCH", f"/api/annotations/{annotation}/", body)
        assert status == 200, made

    def remove(self, annotation: int) -> None:
        status, made = self.call("DELETE", f"/api/annotations/{annotation}/")
        assert status == 204, made

    def _submit(self, task: dict[str, Any], body: dict[str, Any]) -> int:
        status, made = self.call("POST", f"/api/tasks/{task['id']}/annotations/", body)
        assert status == 201, made
        assert made["completed_by"] == self.user_id
        return int(made["id"])

    def _csrf(self) -> str:
        found = re.search(r"csrftoken=([^;]+)", self.cookies)
        return found.group(1) if found else ""


def result_of(task: dict[str, Any], value: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    target = next(name for name in task["data"] if name.startswith("item_"))
    return [{"from_name": CHOICE, "to_name": target, "type": kind, "value": value}]


def sign_up(url: str, email: str) -> Person:
    """Create an account through the sign-up page."""
    page = urllib3.request("GET", f"{url}/user/signup/", redirect=False, timeout=60.0)
    cookies = _cookies(page, {})
    form = {"email": email, "password": "not-a-secret-2", "csrfmiddlewaretoken": _form_token(page.data.decode())}
    return _enter(url, "/user/signup/", email, form, cookies)


def sign_in(url: str, email: str, password: str) -> Person:
    """Open a session through the login page."""
    page = urllib3.request("GET", f"{url}/user/login/", redirect=False, timeout=60.0)
    cookies = _cookies(page, {})
    form = {"email": email, "password": password, "csrfmiddlewaretoken": _form_token(page.data.decode())}
    return _enter(url, "/user/login/", email, form, cookies)


def _enter(url: str, path: str, email: str, form: dict[str, str], cookies: dict[str, str]) -> Person:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": _joined(cookies), "Referer": url + path}
    body = urlencode(form).encode()
    answer = urllib3.request("POST", url + path, body=body, headers=headers, redirect=False, timeout=60.0)
    assert answer.status == 302, answer.data[-2000:]
    person = Person(url, email, cookies=_joined(_cookies(answer, cookies)))
    status, user = person.call("GET", "/api/current-user/whoami")
    assert status == 200
    person.user_id = int(user["id"])
    return person


def _form_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None, page[:2000]
    return found.group(1)


def _cookies(answer: urllib3.BaseHTTPResponse, before: dict[str, str]) -> dict[str, str]:
    found = dict(before)
    for line in answer.headers.getlist("Set-Cookie"):
        name, _, rest = line.partition("=")
        found[name] = rest.partition(";")[0]
    return found


def _joined(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
