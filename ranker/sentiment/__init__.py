"""What buyers say: a classifier of reviews, and what it means for items, users and aspects."""
