"""Metrics in plain words, for people who meet them in a report; formulas are in :mod:`aisle.eval.metrics`."""

PLAIN = {
    "recall": "Share of what a user wanted that the first k places hold.",
    "recall_capped": "The same, of as many items as fit into k places.",
    "ndcg": "What was found, where high places count more; 1 is the best possible list.",
    "ndcg_exp": "The same, with more weight for what was wanted most.",
    "hit_rate": "Share of users with at least one wanted item in the first k places.",
    "mrr": "1 / place of the first wanted item; 0 below k.",
    "map": "How many wanted items stand above each wanted item; 0 below k.",
    "precision": "Share of the first k places that was wanted.",
    "r_precision": "Share of the first R places that was wanted, R being what the user wanted.",
    "auc": "Chance that a wanted item stands above one that was not.",
    "coverage": "Share of the catalogue in the first k places of anybody.",
    "gini": "How unevenly items are shown: 0, all alike; 1, one takes all.",
    "novelty": "How rarely shown items were taken before, in bits; more is rarer.",
    "diversity": "How unlike each other the first k items of a list are.",
    "serendipity": "What was found that a list of the popular would not have shown.",
    "popularity_bias": "How much more popular shown items are than those that users took.",
}
"""By metric, a sentence for a reader; what is not here is shown without one."""
