"""A personal access token of Label Studio for an account, as its own page makes one: log in, and ask for it.

Label Studio 1.23 makes new organisations without legacy tokens: the token of ``LABEL_STUDIO_USER_TOKEN`` is stored
there and refused. Personal access tokens can be made by a person's session alone.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

from activelora.http import HttpClient, Limits, NoResponseError, Response
from activelora.labeling.label_studio.errors import LabelStudioError, refused, unreachable

LOGIN_PATH = "/user/login/"
TOKENS_PATH = "/api/token/"
REVOKE_PATH = "/api/token/blacklist/"
_LIMITS = Limits(connect_seconds=10.0, read_seconds=60.0, max_bytes=8 << 20)
_PAGE = "Name the address of Label Studio itself, as a browser shows it; where people log in elsewhere, make the token "
_PAGE += "there: Account & Settings, Personal Access Token."


def make_token(url: str, email: str, password: str, *, replaces: bool = False) -> str:
    """Return a new personal access token of an account.

    Args:
        url: The server's address.
        email: E-mail of the account.
        password: Its password.
        replaces: Whether a token that the account has is revoked first. Label Studio gives each account one, and shows
            it only once.

    Raises:
        LabelStudioError: There is no answer, the login is refused, or there is a token already.
    """
    session = _Session(url.rstrip("/"))
    session.log_in(email, password)
    if replaces:
        for one in session.call("GET", TOKENS_PATH):
            session.call("POST", REVOKE_PATH, {"refresh": str(one["token"])})
    try:
        return str(session.call("POST", TOKENS_PATH, {})["token"])
    except LabelStudioError as error:
        if error.status != 409:
            raise
        raise LabelStudioError(
            f"{email} has a personal access token already, and Label Studio shows it only once",
            where=error.where,
            remedy="Use that one. Or revoke it and make another with --replace: who uses it must get the new one.",
            status=409,
        ) from None


class _Session:
    """A browser's session, as far as it is needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = HttpClient(_LIMITS)
        self._cookies: dict[str, str] = {}

    def log_in(self, email: str, password: str) -> None:
        page = self._request("GET", LOGIN_PATH)
        if page.status != 200 or "csrftoken" not in self._cookies:
            problem = f"there is no login page of Label Studio (status {page.status})"
            raise LabelStudioError(problem, where=f"{self._url}{LOGIN_PATH}", remedy=_PAGE, status=page.status)
        form = {"email": email, "password": password, "csrfmiddlewaretoken": self._cookies["csrftoken"]}
        kind = "application/x-www-form-urlencoded"
        answer = self._request("POST", LOGIN_PATH, urlencode(form).encode(), kind)
        if answer.status != 302 or "sessionid" not in self._cookies:
            remedy = "Give e-mail and password of an account of this server. Nothing was changed."
            problem = f"the login of {email} is refused"
            raise LabelStudioError(problem, where=f"{self._url}{LOGIN_PATH}", remedy=remedy, status=answer.status)

    def call(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        answer = self._request(method, path, content, "application/json")
        if not 200 <= answer.status < 300:
            raise refused(answer.status, answer.content, f"{method} {self._url}{path}")
        return json.loads(answer.content) if answer.content else None

    def _request(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Response:
        content: dict[str, Any] = {"body": body} if body else {}
        headers = {"Referer": f"{self._url}{LOGIN_PATH}"}  # Django wants one over TLS
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            headers["X-CSRFToken"] = self._cookies.get("csrftoken", "")
        if kind:
            headers["Content-Type"] = kind
        try:
            answer = self._http.request(method, f"{self._url}{path}", headers=headers, **content)
        except NoResponseError as error:
            raise unreachable(error, f"{method} {self._url}{path}") from None
        set_cookies = answer.headers.get("Set-Cookie", "")  # several are joined by commas
        for name in ("csrftoken", "sessionid"):
            if found := re.search(rf'(?:^|[,\s]){name}="?([^;,\s"]+)', set_cookies):
                self._cookies[name] = found[1]
        return answer
