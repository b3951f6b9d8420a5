"""Units of the portal's pages and API."""
