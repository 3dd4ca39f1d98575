"""The version of the suite, in one place."""

VERSION = "0.1.0"
