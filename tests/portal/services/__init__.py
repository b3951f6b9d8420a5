"""Tests of the services, each against both databases where one is involved."""
