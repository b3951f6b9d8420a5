"""Phones woken through a stand-in of Apple's push service that takes as long as a far one: many streams against one after another."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
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


def pushes(many: int = 20_000, few: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder:
        issued, port = authority.at_home(Path(folder)), ports.find_free()
        certificate = read_certificate([issued.pass_file.read_bytes(), issued.intermediate_file.read_bytes()])
        service = multiprocessing.get_context("spawn").Process(target=_serve, args=(Path(folder), port), daemon=True)
        service.start()
        try:
            _wait(certificate, issued, port)
            _measure(certificate, issued, port, many, few)
        finally:
            service.terminate()
            service.join()


def _measure(certificate: PassCertificate, issued: authority.Authority, port: int, many: int, few: int) -> None:
    one_by_one = _per_second(_pusher(certificate, issued, port, streams=1), _tokens(few))
    before = psutil.Process().memory_info().rss / 1e6
    at_once = _per_second(_pusher(certificate, issued, port), _tokens(many))
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


def _wait(certificate: PassCertificate, issued: authority.Authority, port: int) -> None:
    for _ in range(100):
        with _pusher(certificate, issued, port) as pusher:
            if pusher.push_many(_tokens(1))[0].outcome is Outcome.ACCEPTED:
                return
        time.sleep(0.1)
    raise RuntimeError("the push service does not answer")


def _pusher(certificate: PassCertificate, issued: authority.Authority, port: int, **options: int) -> Pusher:
    return Pusher(certificate, url=f"https://{HOST}:{port}", ca_file=issued.root_file, **options)


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
