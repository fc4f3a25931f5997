"""Cleaning: reasons to reject a row, and repair of the values of rows that stay.

A row is rejected for the first reason that holds:

    1. what its reader could not make sense of (`problem`)
    2. what is wrong with the row alone: an id is missing, a rating or a date is impossible (`rows.py`)
    3. it has no place in the order of events, or repeats an earlier row (`duplicates.py`)
    4. its user behaves like a machine (`machines.py`)
    5. its user or its item has too few events, until all have enough (`kcore.py`)

`events.py` and `items.py` decide on narrow frames (one integer a value), so that the wide rows only ever
stream past; `text.py` and `values.py` repair those that stay.
"""
