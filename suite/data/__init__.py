"""Data sets: cards, preparation and batches, one file for each family of tasks. Importing it imports no torch."""
