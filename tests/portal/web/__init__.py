"""Units of the Flask glue."""
