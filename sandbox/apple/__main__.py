"""`python -m sandbox.apple`: makes the authority before anything starts that is handed its certificates."""

from sandbox.apple import authority
from sandbox.config import Config

authority.at_home(Config.from_env().apple_dir)
