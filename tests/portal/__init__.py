"""Units of the portal, as a mirror of its folders."""
