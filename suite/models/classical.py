"""Regressions that are fitted once: Ridge, Random Forest, gradient boosting, and the mean as a baseline.

Each takes a window as one long vector, as in the benchmark that the paper cites (Tan et al. 2021, time series extrinsic
regression). Settings that the benchmark does not state are the defaults of scikit-learn and XGBoost, with 100 trees.
Two differ: Ridge's penalty is the best of seven by leave-one-out cross-validation on the training windows, and a split
of the forest considers the square root of the number of features, since a window has thousands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from suite.errors import UserError

TREES = 100
PENALTIES = np.logspace(-1, 5, 7)


def estimator(name: str, seed: int, threads: int) -> Any:
    """An unfitted regression with scikit-learn's interface. Raises UserError if XGBoost is not installed."""
    return MAKERS[name](seed, threads)


def parameters(name: str, fitted: Any) -> int:
    """The number of parameters of a fitted model: weights and intercept of Ridge, or nodes of all trees."""
    return COUNTS[name](fitted)


def _mean(seed: int, threads: int) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="mean")


def _ridge(seed: int, threads: int) -> Any:
    from sklearn.linear_model import RidgeCV

    return RidgeCV(PENALTIES)


def _forest(seed: int, threads: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    # One thread: several would add the trees' predictions in the order in which they finish.
    return RandomForestRegressor(TREES, max_features="sqrt", random_state=seed, n_jobs=1)


def _boosting(seed: int, threads: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=TREES, early_stopping=False, random_state=seed)


def _xgboost(seed: int, threads: int) -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise UserError(f"XGBoost cannot be imported: {error}", "model.name",
                        "install the extra, pip install 's4d-suite[xgboost]', or choose boosting") from error
    return xgboost.XGBRegressor(n_estimators=TREES, random_state=seed, n_jobs=threads, device="cpu")


def _boosting_nodes(fitted: Any) -> int:
    """Nodes of all trees. scikit-learn's list of them is private; without it, the largest number for the settings."""
    steps = getattr(fitted, "_predictors", None)
    if steps is None:
        return int(fitted.max_iter * (2 * fitted.max_leaf_nodes - 1))
    return sum(len(tree.nodes) for step in steps for tree in step)


MAKERS: dict[str, Callable[[int, int], Any]] = {"mean": _mean, "ridge": _ridge, "random_forest": _forest,
                                                "boosting": _boosting, "xgboost": _xgboost}
COUNTS: dict[str, Callable[[Any], int]] = {
    "mean": lambda fitted: 1,
    "ridge": lambda fitted: fitted.coef_.size + 1,
    "random_forest": lambda fitted: sum(tree.tree_.node_count for tree in fitted.estimators_),
    "boosting": _boosting_nodes,
    "xgboost": lambda fitted: sum(text.count("\n") for text in fitted.get_booster().get_dump())}
