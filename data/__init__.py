"""Shop data in: readers, cleaning, splits and text rendering."""
