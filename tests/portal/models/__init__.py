"""Tests of rows that know more than their columns."""
