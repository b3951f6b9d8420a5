"""Tests of the jobs, in this process, against the sandbox."""
