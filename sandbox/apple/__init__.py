"""The stand-in for Apple: a certificate authority of its own, and the push service that wakes the sandbox's phones."""
