"""Data sets: cards, preparation and batches, one file a family of tasks. Importing this package imports no torch."""
