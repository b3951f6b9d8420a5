"""What keeps the portal from starting, as one line for the person at the terminal."""


class StartError(Exception):
    """The message names the variable or file at fault and the remedy."""
