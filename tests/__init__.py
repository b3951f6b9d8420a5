"""The tests: tight units that enumerate cases, and broad journeys through real processes."""
