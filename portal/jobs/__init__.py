"""Edges that a queue rings: each job takes ids, decides everything from the database, and may be lost or doubled."""
