"""The user's own code: which files it is made of, what it takes, whether it does what it should, and its errors."""
