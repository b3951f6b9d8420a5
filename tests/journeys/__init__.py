"""Journeys through real processes: web, workers, ticker, database, Redis and sandbox."""
