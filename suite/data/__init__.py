"""Data sets: cards, preparation and batches, one file for each family of tasks. Does not import torch."""
