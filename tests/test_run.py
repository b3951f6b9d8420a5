"""`python run.py` as a person uses it: one clear line when it cannot start, everything up, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from launch import commands, kept, plan, ports, processes
from launch.kept import Kept
from launch.problems import StartError
from launch.watching import DEATHS, Watch
from tests import factories
from tests.factories import csrf_token
from tests.launching import ROOT, environment, run
from tests.waiting import eventually


class Started:
    """A `run.py` under way."""

    def __init__(self, env: dict[str, str], output: Path) -> None:
        self.env, self.data_dir = env, Path(env["PORTAL_DATA_DIR"])
        self.output = output
        with output.open("w") as file:
            self.process = subprocess.Popen([sys.executable, "run.py"], cwd=ROOT, env=env, stdout=file, stderr=file)
        self.processes: list[psutil.Process] = []

    def until_ready(self) -> dict[str, Any]:
        """What demo.json says. Also notes down every process, to see later that all are gone."""
        eventually(lambda: "Press Ctrl-C" in self.output.read_text() or self.process.poll() is not None, 240)
        assert self.process.poll() is None, self.output.read_text()
        self.processes = psutil.Process(self.process.pid).children(recursive=True)
        demo: dict[str, Any] = json.loads((self.data_dir / "demo.json").read_text())
        return demo

    def end(self, signum: int) -> int:
        self.process.send_signal(signum)
        return self.process.wait(60)

    def left_behind(self) -> list[psutil.Process]:
        return [each for each in self.processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]

    def find(self, words: str) -> psutil.Process:
        return next(each for each in self.processes if words in " ".join(each.cmdline()))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "var")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """One start for all tests of this module that look at it while it runs."""
    folder = tmp_path_factory.mktemp("run")
    run = Started(environment(folder / "var"), folder / "output.txt")
    yield run
    if run.process.poll() is None:
        run.end(signal.SIGTERM)


def test_what_demo_json_says_is_true(running: Started) -> None:
    demo = running.until_ready()
    assert requests.get(f"{demo['portal_url']}/healthz", timeout=10).status_code == 200
    assert _tell(demo, "first") == "accepted"
    me = requests.get(
        f"{demo['sandbox_url']}/api/accounts",
        headers={"Authorization": f"Klaviyo-API-Key {demo['klaviyo_api_key']}", "revision": "2026-07-15"},
        timeout=10,
    )
    assert me.json()["data"][0]["attributes"]["contact_information"]["organization_name"] == "Nordic Coffee"
    page = requests.Session()
    form = {"email": demo["email"], "password": demo["password"]}
    form["csrf_token"] = csrf_token(page.get(f"{demo['portal_url']}/login", timeout=10).text)
    assert page.post(f"{demo['portal_url']}/login", data=form, timeout=10, allow_redirects=False).status_code == 303


def _tell(demo: dict[str, Any], event_id: str) -> str:
    answer = requests.post(
        f"{demo['portal_url']}/v1/events",
        json=factories.event(event_id),
        headers={"Authorization": f"Bearer {demo['api_key']}"},
        timeout=10,
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["results"][0]["status"])


def test_most_of_the_demo_accounts_profiles_are_customers_of_the_demo_shop(running: Started) -> None:
    """So that a first look at a segment finds somebody."""
    demo = running.until_ready()
    headers = {"Authorization": f"Klaviyo-API-Key {demo['klaviyo_api_key']}", "revision": "2026-07-15"}
    profiles = requests.get(f"{demo['sandbox_url']}/api/profiles?page[size]=100", headers=headers, timeout=10).json()[
        "data"
    ]
    emails = [profile["attributes"]["email"] for profile in profiles if "nordic." not in profile["attributes"]["email"]]
    answer = requests.post(
        f"{demo['portal_url']}/v1/customers",
        json={"customers": [{"email": email} for email in emails]},
        headers={"Authorization": f"Bearer {demo['api_key']}"},
        timeout=10,
    )
    known = [each["status"] for each in answer.json()["results"] if each["status"] != "created"]
    assert len(known) >= 18


def test_what_it_writes_is_for_its_owner_only(running: Started) -> None:
    demo = running.until_ready()
    for name in ("secrets.json", "demo.json", "settings.env", "api-key.txt", "redis/redis.conf"):
        assert stat.S_IMODE((running.data_dir / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(running.data_dir.stat().st_mode) == 0o700
    secrets = json.loads((running.data_dir / "secrets.json").read_text())
    shown = [" ".join(each.cmdline()) for each in running.processes]
    assert demo["password"] == secrets["password"]
    assert not [line for line in shown for name, value in secrets.items() if value in line and name != "email"]


def test_two_starts_do_not_share_a_data_folder(running: Started) -> None:
    running.until_ready()
    demo = json.loads((running.data_dir / "demo.json").read_text())
    # In the same folder with the same settings, as somebody does who has forgotten the first.
    for env in (running.env, environment(running.data_dir)):
        second = run(env)
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        expected = f"Another portal is running from this folder (pid {running.process.pid}, {demo['portal_url']})."
        assert second.stderr.startswith(expected)
        assert "PORTAL_DATA_DIR" in second.stderr


def test_a_killed_worker_is_said_and_started_again(running: Started) -> None:
    running.until_ready()
    running.find("worker.py").kill()
    eventually(lambda: "It is started again." in running.output.read_text())
    assert re.search(r"(worker-\d|ticker|importer) has stopped \(signal 9\)", running.output.read_text())
    assert eventually(lambda: len(_workers(running)) == 4), "two workers, the ticker and the importer"


def _workers(running: Started) -> list[psutil.Process]:
    children = psutil.Process(running.process.pid).children()
    return [each for each in children if "worker.py" in " ".join(each.cmdline())]


def test_ctrl_c_leaves_nothing_behind_and_a_second_start_finds_the_data(running: Started, tmp_path: Path) -> None:
    demo = running.until_ready()
    _tell(demo, "before")
    assert len(running.processes) >= 9  # Redis, sandbox and web with their children, two workers, a ticker, an importer
    assert running.end(signal.SIGINT) == 0
    assert eventually(lambda: not running.left_behind())
    env = environment(
        running.data_dir, PORTAL_PORT=running.env["PORTAL_PORT"], SANDBOX_PORT=running.env["SANDBOX_PORT"]
    )
    again = Started(env, tmp_path / "output.txt")
    try:
        assert again.until_ready() == demo
        assert _tell(demo, "before") == "duplicate"
    finally:
        again.end(signal.SIGKILL)
    assert eventually(lambda: not again.left_behind(), 30), "a killed launcher takes everything with it"


def test_a_signal_that_comes_in_the_midst_of_waiting_is_never_lost() -> None:
    """`make` passes a signal on that we got already; the second must not find the first one's lock."""
    program = """
import os, signal, threading
from launch.ending import Ending
from launch.running import _end_on_signals
for _ in range(100):
    ending = Ending()
    _end_on_signals(ending)
    threading.Timer(0.001, os.kill, (os.getpid(), signal.SIGTERM)).start()
    while not ending.asked_within(0.0):
        pass
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=30).returncode == 0


def test_a_process_that_ends_again_and_again_stops_everything_with_its_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child = processes.Child(
        "web", [sys.executable, "-c", "raise SystemExit('no more')"], os.environ, tmp_path, tmp_path
    )
    child.start()
    watch = Watch([child])
    with pytest.raises(StartError, match=r"web has stopped \(exit 1\)(.|\n)*no more"):
        eventually(watch.look, 20)
    assert capsys.readouterr().out.count("It is started again.") == DEATHS - 1


def test_make_help_names_every_target_that_a_person_may_want() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "check", "bench", "migrate", "clean", "requirements"} <= targets
    assert all(f"make {target} " in done.stdout for target in targets)


# --- the plan, without processes -------------------------------------------------------------------


def test_an_app_of_ones_own_at_klaviyo_leaves_the_sandbox_out(tmp_path: Path) -> None:
    env = {"KLAVIYO_CLIENT_ID": "mine", "KLAVIYO_CLIENT_SECRET": "secret", "PORTAL_DATA_DIR": str(tmp_path)}
    wanted = plan.read(env)
    assert wanted.real_klaviyo
    variables = commands.environment(env, wanted, kept.load(tmp_path), "redis://x")
    assert variables["KLAVIYO_CLIENT_ID"] == "mine"
    assert not [name for name in variables if name.startswith("SANDBOX_") or "KLAVIYO_API" in name]


def test_what_the_user_has_set_wins_over_what_is_made_up(tmp_path: Path) -> None:
    env = {"PORTAL_SECRET_KEY": "mine", "PORTAL_ENCRYPTION_KEYS_FILE": "/some/file", "PORTAL_REDIS_URL": "redis://mine"}
    variables = commands.environment(env, plan.read(env), kept.load(tmp_path), "redis://made-up")
    assert variables["PORTAL_SECRET_KEY"] == "mine"
    assert variables["PORTAL_REDIS_URL"] == "redis://mine"
    assert "PORTAL_ENCRYPTION_KEYS" not in variables


def test_a_certificate_of_ones_own_belongs_to_apples_own_push_service(tmp_path: Path) -> None:
    def variables(**env: str) -> dict[str, str]:
        return commands.environment(env, plan.read(env), kept.load(tmp_path), "redis://x")

    assert variables()["PORTAL_APPLE_PUSH_URL"] == "https://127.0.0.1:8101"
    own = variables(PORTAL_APPLE_PASS_CERTIFICATE_FILE="/own.pem")
    assert [value for name, value in own.items() if name.startswith("PORTAL_APPLE_")] == ["/own.pem"]
    with_own_authority = variables(PORTAL_APPLE_PUSH_CA="mine")
    assert "PORTAL_APPLE_PUSH_CA_FILE" not in with_own_authority


def test_secrets_are_made_once_and_completed_later(tmp_path: Path) -> None:
    first = kept.load(tmp_path)
    assert kept.load(tmp_path) == first
    path = tmp_path / "secrets.json"
    known = json.loads(path.read_text())
    del known["redis_password"]
    path.write_text(json.dumps(known))
    completed = kept.load(tmp_path)
    assert completed.redis_password
    assert completed == Kept(**{**known, "redis_password": completed.redis_password})


def test_the_same_port_twice_is_refused() -> None:
    port = str(ports.find_free())
    with pytest.raises(StartError, match="must be different ports"):
        plan.check_ports(plan.read({"PORTAL_PORT": port, "SANDBOX_PORT": port}))


def test_a_child_that_does_not_listen_is_killed_with_its_own_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, time; signal.signal(15, signal.SIG_IGN);"
        "subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
    )
    child = processes.Child("deaf", [sys.executable, "-c", code], os.environ, tmp_path, tmp_path)
    child.start()
    eventually(lambda: "up" in child.last_lines())
    assert child.process
    family = [child.process.pid, *(each.pid for each in psutil.Process(child.process.pid).children())]
    assert len(family) == 2
    before = time.monotonic()
    processes.stop([child], seconds=0.3)
    assert time.monotonic() - before >= 0.3
    assert eventually(
        lambda: not [pid for pid in family if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    )
