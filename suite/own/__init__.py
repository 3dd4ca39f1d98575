"""The user's own code as files: what they are made of and what they say; and the errors that it raises."""
