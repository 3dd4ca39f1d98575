"""The user's code: its files, their content, and the errors that it raises."""
