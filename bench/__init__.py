"""Measures the shipped server on both databases: ``python -m bench``, or ``make bench``."""
