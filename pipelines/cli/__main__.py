"""``python -m pipelines.cli``, as the images call it."""

import sys

from pipelines.cli.main import main

sys.exit(main())
