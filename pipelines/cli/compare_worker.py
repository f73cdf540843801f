"""One campaign of a comparison in a process of its own: ``python -m pipelines.cli.compare_worker URI PARENT``."""

from __future__ import annotations

import os
import sys

from activelora.campaign.campaign import Campaign
from activelora.errors import ActiveLoRAError
from pipelines.cli.console import set_up_logging, show_error
from pipelines.engines.inline import run_campaign


def main(uri: str, parent: int) -> int:
    """Run a campaign to its end and return the exit code; leave between two steps once the parent is gone."""
    set_up_logging(verbose=False)
    try:
        run_campaign(Campaign.open(uri), on_unit=lambda _: _leave_without(parent))
    except ActiveLoRAError as error:
        show_error(error)
        return 1
    return 0


def _leave_without(parent: int) -> None:
    if os.getppid() != parent:
        raise SystemExit(143)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
