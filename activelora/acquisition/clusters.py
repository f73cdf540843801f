"""k-means clusters of embeddings, the same for the same seed on any number of threads.

Letters: N points, D features, K clusters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.spill import blocks
from activelora.acquisition.strategy import Float32Array
from activelora.seeding import derive_seed

FIT_MOST = 100_000
"""Points that clusters are made from at most."""


def sample(num: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return rows drawn at random, in their order; all, if there are no more than ``most``."""
    if num <= most:
        return np.arange(num)
    return np.sort(np.random.default_rng(seed).choice(num, most, replace=False))


def kmeans(points_ND: Float32Array, num: int, seed: int) -> NDArray[np.int64]:
    """Return clusters_N, each point's cluster from 0 to at most ``num`` − 1; every cluster has a point.

    Lloyd's algorithm from one k-means++ start, as scikit-learn has it. There are never more clusters than different
    points. Of more than :data:`FIT_MOST` points, that many drawn at random make the clusters, and every point goes to
    the nearest centre.

    Args:
        points_ND: The points; N at least 1.
        num: K.
        seed: Seed of the start.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    drawn_ND = points_ND[sample(len(points_ND), FIT_MOST, derive_seed(seed, "kmeans_sample"))]
    num = min(num, len(np.unique(drawn_ND, axis=0)))
    if num == 1:
        return np.zeros(len(points_ND), dtype=np.int64)
    model = KMeans(num, n_init=1, random_state=derive_seed(seed, "kmeans") % 2**32)
    # Several threads add up a cluster's points in whichever order they finish.
    with threadpool_limits(limits=1):
        found_N = model.fit_predict(drawn_ND.astype(np.float64))
        if len(drawn_ND) < len(points_ND):
            parts = [model.predict(points_ND[block].astype(np.float64)) for block in blocks(points_ND)]
            found_N = np.concatenate(parts)
    numbers_N: NDArray[np.int64] = np.unique(found_N, return_inverse=True)[1].astype(np.int64)
    return numbers_N
