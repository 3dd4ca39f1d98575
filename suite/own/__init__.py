"""The user's own code: its files, what these contain, and the errors that it raises."""
