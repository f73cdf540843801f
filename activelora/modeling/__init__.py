"""Base models, adapters and the training loop.

When transformers 5.25 loads a model, it fetches compiled code for some layers from the hub, by the package `kernels`
that it brings along. Code of others is never run here: this is switched off before any model is made.
"""

import os

os.environ["USE_HUB_KERNELS"] = "NO"
