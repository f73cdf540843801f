"""The log of a task: lines on stderr for the pod's log, and a copy beside the unit's manifest, also while it runs."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from activelora.campaign.campaign import Campaign
from activelora.campaign.manifest import Unit
from activelora.errors import ActiveLoRAError
from activelora.log_lines import JsonFormatter, PlainFormatter, log_context, wants_json

logger = logging.getLogger(__name__)

STORED_BYTES = 1_000_000
"""A unit's log is cut to its last lines: a step that waits for labels for weeks writes one at every tick."""
FLUSH_SECONDS = 10.0
"""What a task that is killed at once loses of its log at most; each time is one read and one write."""
FLUSH_LINES = 200
"""Lines after which the log is written before that time."""
_PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class TaskLog(logging.Handler):
    """Collects the lines of one task, and keeps them in the campaign every few seconds: a killed task cannot.

    Args:
        flush_seconds: Time between two writes.
    """

    def __init__(self, flush_seconds: float = FLUSH_SECONDS) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonFormatter())
        self._flush_seconds = flush_seconds
        self._lines: list[str] = []
        self._target: tuple[Campaign, str] | None = None
        self._storing = threading.Lock()
        self._many, self._is_over, self._has_warned = threading.Event(), threading.Event(), False
        self._keeper: threading.Thread | None = None

    def keep_in(self, campaign: Campaign, unit: Unit) -> None:
        """Name the unit beside whose manifest the log goes from now on."""
        self._target = (campaign, unit.log_key)
        self._keeper = threading.Thread(target=self._keep, name="task log", daemon=True)
        self._keeper.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Collect a line."""
        self._lines.append(self.format(record))
        if len(self._lines) >= FLUSH_LINES:
            self._many.set()

    def end(self) -> None:
        """Keep what is left, and stop keeping."""
        self._is_over.set()
        self._many.set()
        if self._keeper is not None:
            self._keeper.join()
        self.store()

    def store(self) -> None:
        """Add the lines to the log in the campaign. Logs are not results: a store that is down is only a warning."""
        if self._target is None:
            return
        campaign, key = self._target
        with self._storing:
            number = len(self._lines)
            if not number:
                return
            new = "".join(f"{line}\n" for line in self._lines[:number]).encode()
            try:
                before = campaign.store.read(key) if campaign.store.exists(key) else b""
                campaign.store.write(key, _tail(before + new))
            except (ActiveLoRAError, KeyError) as error:
                if not self._has_warned:
                    self._has_warned = True
                    logger.warning("the log could not be kept: %s", error)
                return
            del self._lines[:number]

    def _keep(self) -> None:
        while not self._is_over.is_set():
            self._many.wait(self._flush_seconds)
            self._many.clear()
            if not self._is_over.is_set():
                self.store()


@contextmanager
def task_log(step: str, campaign_uri: str, round_: int | None = None) -> Iterator[TaskLog]:
    """Log a task; whatever goes wrong in it becomes a line and exit code 1, a known problem in plain words.

    Args:
        step: The step's name.
        campaign_uri: The campaign.
        round_: The round, where there is one.
    """
    log = TaskLog()
    names: dict[str, str | int] = {"campaign": campaign_uri, "step": step}
    if round_ is not None:
        names["round"] = round_
    _set_up_stderr()
    root = logging.getLogger()
    root.addHandler(log)
    with log_context(**names):
        try:
            yield log
        except ActiveLoRAError as error:
            logger.error("%s", error)
            raise SystemExit(1) from None
        except Exception as error:
            if not wants_json():
                logger.exception("%s failed", step)
                raise
            # The interpreter's own traceback would be many lines, and none of them JSON.
            logger.exception("%s failed: %s", step, error)
            raise SystemExit(1) from None
        finally:
            log.end()
            root.removeHandler(log)


def _set_up_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    if not wants_json():
        handler.setFormatter(PlainFormatter(_PLAIN))
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        return
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)  # KFP has set up its own by now
    for name in ("activelora", "components", "pipelines"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)


def _tail(content: bytes) -> bytes:
    """Return the last whole lines that fit."""
    if len(content) <= STORED_BYTES:
        return content
    return content[-STORED_BYTES:].partition(b"\n")[2]
