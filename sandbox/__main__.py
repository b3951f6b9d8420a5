"""`python -m sandbox`: makes what is handed to others before the sandbox runs: Apple's certificates, Google's service account."""

from sandbox.apple import authority
from sandbox.config import Config
from sandbox.google import identity

config = Config.from_env()
authority.at_home(config.apple_dir)
identity.service_account(config)
