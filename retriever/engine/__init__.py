"""One engine for all that language models read: texts, pairs of texts, reviews."""
