"""pyDVL and datascope, asked line by line; runs in the environment that knn_shapley.py makes.

Each line on standard input is a JSON object: which peer, the file of the data, where to write the
values. The answer is a line with the CPU seconds of the valuation alone.
"""

import json
import sys
import time

import numpy as np


def by_pydvl(X, y, Z, z, k):
    from pydvl.valuation import Dataset, KNNShapleyValuation
    from sklearn.neighbors import KNeighborsClassifier

    train, test = Dataset(X, y), Dataset(Z, z)
    method = KNNShapleyValuation(KNeighborsClassifier(n_neighbors=k), test, progress=False)
    start = time.process_time()
    method.fit(train)
    seconds = time.process_time() - start
    return seconds, np.asarray(method.result.values)


def by_datascope(X, y, Z, z, k):
    from datascope.importance.shapley import ShapleyImportance
    from datascope.importance.utility import SklearnModelAccuracy
    from sklearn.neighbors import KNeighborsClassifier

    assert k == 1
    utility = SklearnModelAccuracy(KNeighborsClassifier(n_neighbors=1))
    method = ShapleyImportance(method="neighbor", utility=utility, nn_k=1)
    start = time.process_time()
    values = method.fit(X, y).score(Z, z)
    return time.process_time() - start, np.asarray(values)


PEERS = {"pydvl": by_pydvl, "datascope": by_datascope}

for line in sys.stdin:
    asked = json.loads(line)
    with np.load(asked["data"]) as file:
        X, y, Z, z = (file[name] for name in ("X", "y", "Z", "z"))
    seconds, values = PEERS[asked["peer"]](X, y, Z[: asked["points"]], z[: asked["points"]], asked["k"])
    np.save(asked["values"], values)
    print(json.dumps({"seconds": seconds}), flush=True)
