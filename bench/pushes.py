"""Phones woken through a stand-in of Apple's push service that takes as long as a far one: many streams against one after another."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from launch import ports
from portal.wallet import Outcome, PassCertificate, Pusher, read_certificate
from sandbox.apple import authority
from sandbox.apple.apns import PushService
from sandbox.apple.pushes import Answer
from sandbox.klaviyo.faults import Faults
from sandbox.klaviyo.switches import Switches

FAR_MS = 60.0
BATCH = 2_000
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Far:
    """A push service with the sandbox's certificates, as far away as Apple's."""

    issued: authority.Authority
    url: str

    @property
    def certificate(self) -> PassCertificate:
        return read_certificate([self.issued.pass_file.read_bytes(), self.issued.intermediate_file.read_bytes()])

    def pusher(self, **options: int) -> Pusher:
        return Pusher(self.certificate, url=self.url, ca_file=self.issued.root_file, **options)


@contextmanager
def far_service() -> Iterator[Far]:
    """In a process of its own, so that its work is not ours."""
    with tempfile.TemporaryDirectory() as folder:
        port = ports.find_free()
        far = Far(authority.at_home(Path(folder)), f"https://{HOST}:{port}")
        service = multiprocessing.get_context("spawn").Process(target=_serve, args=(Path(folder), port), daemon=True)
        service.start()
        try:
            _wait(far)
            yield far
        finally:
            service.terminate()
            service.join()


def pushes(many: int = 20_000, few: int = 100) -> None:
    with far_service() as far:
        one_by_one = _per_second(far.pusher(streams=1), _tokens(few))
        before = psutil.Process().memory_info().rss / 1e6
        at_once = _per_second(far.pusher(), _tokens(many))
        grown = psutil.Process().memory_info().rss / 1e6 - before
    print(
        f"pushes, {FAR_MS:.0f} ms away, one connection: {at_once:,.0f}/s with many streams, {one_by_one:,.0f}/s one after another, "
        f"{at_once / one_by_one:.0f} times; 100,000 phones in {100_000 / at_once / 60:.1f} min; "
        f"{grown:.0f} MB more after {many:,}"
    )


def _serve(folder: Path, port: int) -> None:
    switches = Switches(latency_ms={"/3/device/": FAR_MS})
    PushService(HOST, port, folder, Faults(), switches, lambda _token, _topic: Answer()).start()
    time.sleep(3600)


def _wait(far: Far) -> None:
    for _ in range(100):
        with far.pusher() as pusher:
            if pusher.push_many(_tokens(1))[0].outcome is Outcome.ACCEPTED:
                return
        time.sleep(0.1)
    raise RuntimeError("the push service does not answer")


def _tokens(count: int) -> list[str]:
    return [f"{number:064x}" for number in range(count)]


def _per_second(pusher: Pusher, tokens: Sequence[str]) -> float:
    """In batches, as a worker pushes them."""
    outcomes: Counter[Outcome] = Counter()
    with pusher:
        started = time.perf_counter()
        for start in range(0, len(tokens), BATCH):
            outcomes.update(result.outcome for result in pusher.push_many(tokens[start : start + BATCH]))
        spent = time.perf_counter() - started
    assert outcomes == {Outcome.ACCEPTED: len(tokens)}, outcomes
    return len(tokens) / spent
