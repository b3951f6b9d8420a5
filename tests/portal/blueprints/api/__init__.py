"""Tests of /v1, through Flask's test client."""
