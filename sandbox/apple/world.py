"""The authority and the push service of one application; the push service listens only where it was given a port."""

from flask import current_app

from sandbox.apple import authority
from sandbox.apple.apns import Deliver, PushService
from sandbox.config import Config
from sandbox.klaviyo.world import World

HOST = "127.0.0.1"


class Apple:
    def __init__(self, config: Config, klaviyo: World, deliver: Deliver) -> None:
        self._config = config
        # Made at once where somebody will connect; elsewhere when it is first asked for.
        if config.apns_port:
            authority.at_home(config.apple_dir)
        self.pushes = PushService(HOST, config.apns_port, config.apple_dir, klaviyo.faults, klaviyo.switches, deliver)
        if config.apns_port:
            self.pushes.start()

    @property
    def authority(self) -> authority.Authority:
        return authority.at_home(self._config.apple_dir)

    def reset(self) -> None:
        """Certificates stay: whoever was given them keeps working."""
        self.pushes.forget()

    def close(self) -> None:
        self.pushes.stop()


def apple() -> Apple:
    found: Apple = current_app.extensions["apple_stand_in"]
    return found
