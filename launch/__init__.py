"""Starts the processes of `make run` together and stops them together. Knows them by command line and environment only.

Nothing in here imports the portal or the sandbox: whoever deploys the portal starts the same commands by other means.
"""
