"""HTTP to Label Studio: what is repeated, and one rule for each status.

Not label-studio-sdk: its release 2.1 pins an opencv that cannot be installed beside numpy 2.4, and its pager ends
quietly at a 404. Ten requests are all that is needed here.

What is repeated: reads, changes of one thing and removals after any passing trouble; what creates something only if
it certainly did not arrive, or was refused with 429. After other trouble the caller looks first whether it is there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from activelora.http import HttpClient, Limits, NoResponseError, Response
from activelora.labeling.label_studio.errors import LabelStudioError, refused, unreachable
from activelora.labeling.label_studio.tokens import Credentials

CONNECT_SECONDS = 10.0
TRIES = 4
PAGE_SIZE = 500
LISTINGS = 3
"""Number of times that a listing that changed under way is made."""
_DRIPPING = 10.0
"""An answer that comes in pieces may take this multiple of the time-out as a whole."""


class Client:
    """A Label Studio server.

    Args:
        url: Its address.
        token: Legacy or personal access token.
        timeout_seconds: Longest silence of the server.
        pause_seconds: Time before the first repetition; doubles each time.

    Attributes:
        url: Its address.
        server_time: The server's clock at its last answer, in whole seconds; None where it does not tell.
    """

    def __init__(self, url: str, token: str, timeout_seconds: float, pause_seconds: float = 0.5) -> None:
        self.url = url.rstrip("/")
        self.server_time: datetime | None = None
        connect_seconds = min(CONNECT_SECONDS, timeout_seconds)
        limits = Limits(connect_seconds, timeout_seconds, answer_seconds=_DRIPPING * timeout_seconds)
        self._http = HttpClient(limits, num_tries=TRIES, pause_seconds=pause_seconds)
        self._credentials = Credentials(token, self._access_token)

    def get(self, path: str, **query: object) -> Any:
        """Read."""
        return self._send("GET", path, query=query)

    def post(self, path: str, body: object, **query: object) -> Any:
        """Create; not repeated if it may have arrived."""
        return self._send("POST", path, body, query)

    def patch(self, path: str, body: object) -> Any:
        """Change one thing; the same change twice is the change once."""
        return self._send("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Remove one thing, if it is still there."""
        try:
            self._send("DELETE", path)
        except LabelStudioError as error:
            if error.status != 404:
                raise

    def tasks(self, project: int, filters: list[dict[str, Any]], **query: object) -> dict[int, dict[str, Any]]:
        """Return all tasks of a project that pass the filters, by id in ascending order.

        What comes or goes while the pages are read shifts them; a listing whose number is not the server's is made
        anew.

        Raises:
            LabelStudioError: The listing never came to rest, or the server refused.
        """
        settings = {"filters": {"conjunction": "and", "items": filters}, "ordering": ["tasks:id"]}
        query = {"project": project, "query": json.dumps(settings), "page_size": PAGE_SIZE, **query}
        for _ in range(LISTINGS):
            found: dict[int, dict[str, Any]] = {}
            totals: set[int] = set()
            for total, page in self._pages(query):
                totals.add(total)
                found |= {int(task["id"]): task for task in page}
            if totals == {len(found)}:
                return dict(sorted(found.items()))
        raise LabelStudioError(
            f"the list of tasks changed each of {LISTINGS} times while it was read",
            where=f"{self.url}/projects/{project}",
            remedy="Try again when less is added or deleted.",
            passes=True,
        )

    def _pages(self, query: dict[str, object]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        number = 1
        while True:
            try:
                answer = self.get("/api/tasks/", page=number, **query)
            except LabelStudioError as error:
                if error.status == 404 and number > 1:  # the last page went while the others were read
                    return
                raise
            yield int(answer["total"]), answer["tasks"]
            if number * PAGE_SIZE >= int(answer["total"]):
                return
            number += 1

    def _send(self, method: str, path: str, body: object = None, query: dict[str, object] | None = None) -> Any:
        """Send, with a new access token if the old one is refused."""
        try:
            return self._ask(method, path, body, query, is_safe=method != "POST")
        except LabelStudioError as error:
            if error.status != 401 or not self._credentials.renew():
                raise
        return self._ask(method, path, body, query, is_safe=method != "POST")

    def _access_token(self, token: str) -> str:
        answer = self._ask("POST", "/api/token/refresh", {"refresh": token}, None, is_safe=True, is_signed=False)
        return str(answer["access"])

    def _ask(
        self,
        method: str,
        path: str,
        body: object,
        query: dict[str, object] | None,
        *,
        is_safe: bool,
        is_signed: bool = True,
    ) -> Any:
        """Send until there is an answer that counts.

        Args:
            method: HTTP method.
            path: Part of the address behind the server's.
            body: JSON content, or None.
            query: Parameters.
            is_safe: Whether to do it twice is to do it once.
            is_signed: Whether the token is sent.
        """
        where = f"{method} {self.url}{path}"
        address = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers, content = {"Accept": "application/json"}, {}
        if is_signed:
            headers["Authorization"] = self._credentials.header()
        if body is not None:
            headers["Content-Type"] = "application/json"
            content["body"] = json.dumps(body).encode()
        try:
            answer = self._http.request(method, address, headers=headers, is_safe=is_safe, **content)
        except NoResponseError as error:
            raise unreachable(error, where) from None
        self.server_time = _date(answer)
        if not 200 <= answer.status < 300:
            raise refused(answer.status, answer.content, where)
        return _json(answer, where)


def until_there(look: Callable[[], bool], create: Callable[[], None], pause_seconds: float = 1.0) -> None:
    """Create something exactly once: look, create what is missing, look again.

    Args:
        look: Tells whether everything is there.
        create: Creates what is missing. Trouble that passes is answered by looking again.
        pause_seconds: After trouble; doubles each time.

    Raises:
        LabelStudioError: It is not there after several tries.
    """
    for attempt in range(1, TRIES + 1):
        if look():
            return
        try:
            create()
        except LabelStudioError as error:
            if not error.passes or attempt == TRIES:
                raise
            time.sleep(pause_seconds * 2.0 ** (attempt - 1))
        else:
            break  # creating once more what is there and cannot be seen would double it
    if not look():
        raise LabelStudioError("what was created does not appear", remedy="Look at the server's log.", passes=True)


def _date(answer: Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return None


def _json(answer: Response, where: str) -> Any:
    if not answer.content:
        return None
    try:
        return json.loads(answer.content)
    except ValueError:
        raise LabelStudioError(
            "the answer is not JSON, perhaps a login page",
            where=where,
            remedy="labeling.label_studio.url must be the address of Label Studio itself.",
            status=answer.status,
        ) from None
