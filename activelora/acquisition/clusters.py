"""k-means clusters of embeddings, the same for the same seed on any number of threads.

Letters: N points, D features, K clusters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from activelora.acquisition.strategy import Float32Array
from activelora.seeding import derive_seed


def kmeans(points_ND: Float32Array, num: int, seed: int) -> NDArray[np.int64]:
    """Return clusters_N, each point's cluster from 0 to at most ``num`` − 1; every cluster has a point.

    Lloyd's algorithm from one k-means++ start, as scikit-learn has it. There are never more clusters than different
    points.

    Args:
        points_ND: The points; N at least 1.
        num: K.
        seed: For the start.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    num = min(num, len(np.unique(points_ND, axis=0)))
    if num == 1:
        return np.zeros(len(points_ND), dtype=np.int64)
    model = KMeans(num, n_init=1, random_state=derive_seed(seed, "kmeans") % 2**32)
    # Several threads add up a cluster's points in whichever order they finish.
    with threadpool_limits(limits=1):
        found_N = model.fit_predict(points_ND.astype(np.float64))
    numbers_N: NDArray[np.int64] = np.unique(found_N, return_inverse=True)[1].astype(np.int64)
    return numbers_N
