"""Sentences of reviews. `{aspect}` and `{noun}` stand for the product's own words."""

SUMMARIES = {
    1: ("Waste of money", "Terrible {noun}", "Do not buy", "Sent it back", "Awful", "Broken after a week"),
    2: ("Disappointed", "Not what I hoped for", "Poor {noun}", "Would not buy again", "Below average", "Meh"),
    3: ("It is okay", "Average {noun}", "Mixed feelings", "Does the job", "Not bad, not great", "So so"),
    4: ("Good {noun}", "Pretty happy", "Nice", "Solid choice", "Nearly perfect", "Would buy again"),
    5: ("Love it", "Best {noun} ever", "Perfect", "Five stars", "Excellent {noun}", "Highly recommended"),
}

OPENINGS = {
    1: (
        "I regret buying this {noun}.",
        "Terrible {noun}.",
        "It broke after one week and the money is gone.",
        "The worst {noun} I have ever owned.",
        "Complete rubbish, I asked for a refund.",
        "I am angry about this purchase.",
    ),
    2: (
        "I expected more from this {noun}.",
        "Disappointing {noun}, sadly.",
        "It works, but barely.",
        "Not worth the price.",
        "I would not choose this {noun} again.",
        "The pictures promise more than they should.",
    ),
    3: (
        "Okay, nothing more.",
        "Average {noun}, no better and no worse than others.",
        "It does what it should, with some weak points.",
        "I am in two minds about this {noun}.",
        "Fine for the price, but nothing special.",
        "There are better and worse ones.",
    ),
    4: (
        "Good {noun} overall.",
        "I am happy with this {noun}.",
        "Works well and arrived quickly.",
        "Solid {noun} for everyday use.",
        "I like it, with one small reservation.",
        "Good value, I would buy it again.",
    ),
    5: (
        "I love this {noun}!",
        "The best {noun} I have ever had.",
        "Absolutely perfect, exactly what I wanted.",
        "Excellent {noun} in every way.",
        "I have already recommended it to all my friends.",
        "It exceeded all my expectations.",
    ),
}

PRAISE = (
    "Excellent {aspect}.",
    "I really like the {aspect}.",
    "Great {aspect}.",
    "Nobody does the {aspect} better.",
    "Very pleased with the {aspect}.",
    "What impressed me most: the {aspect}.",
    "No complaints at all about the {aspect}.",
    "Full marks for the {aspect}.",
)

BLAME = (
    "Awful {aspect}.",
    "I am unhappy with the {aspect}.",
    "Bad {aspect}.",
    "Problems with the {aspect} within days.",
    "What annoys me most: the {aspect}.",
    "They clearly saved money on the {aspect}.",
    "No marks for the {aspect}.",
    "Somebody should fix the {aspect}.",
)

HOPEFUL = {1: 0.05, 2: 0.25, 3: 0.5, 4: 0.8, 5: 0.97}
"""Chance that a sentence about an aspect is praise, by stars."""
