"""The exchange that every library shares, against a server that answers oddly."""
