from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    """300 predictions over 5 classes, right more often than not, one class never true."""
    rng = np.random.default_rng(7)
    labels_N = rng.integers(0, 4, size=300)
    logits_NC = rng.normal(size=(300, 5)) * 1.5
    logits_NC[np.arange(300), labels_N] += 1.2
    probs_NC = np.exp(logits_NC)
    return probs_NC / probs_NC.sum(axis=1, keepdims=True), labels_N
