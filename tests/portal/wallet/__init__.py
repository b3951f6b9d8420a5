"""Tests of the wallet library."""
