"""Use-cases: plain functions named in the imperative. They never commit and never know a request."""
