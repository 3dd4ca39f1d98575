"""The former place of `bucketed`."""

from suite.data.prepared import bucketed as bucketed
