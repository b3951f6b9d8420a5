"""People and logins: the throttle, sessions, passwords; and the keys of their programs."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from portal.db import db, transaction, utcnow
from portal.errors import ConflictError, InvalidError, NotFoundError, TooManyError, UnauthorizedError
from portal.models import ApiKey, LoginFailure, LoginSession, Merchant, Role, User
from portal.services import accounts, api_keys
from tests.portal.services import stage

EMAIL, PASSWORD = "olga@nordic.example", "four quiet words here"
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def olga(lone: int) -> User:
    with transaction():
        return accounts.add_member(lone, EMAIL, " Olga ", PASSWORD, Role.OWNER)


def _log_in(email: str = EMAIL, password: str = PASSWORD, address: str = HERE) -> User | None:
    with transaction():
        return accounts.authenticate(email, password, address)


def _fail(times: int, email: str = EMAIL, address: str = HERE) -> None:
    for _ in range(times):
        assert _log_in(email, "wrong", address) is None


# --- logging in ----------------------------------------------------------------------------------


@pytest.mark.parametrize("email", [EMAIL, " Olga@Nordic.Example "])
def test_the_right_password_finds_the_user_however_the_address_is_written(olga: User, email: str) -> None:
    found = _log_in(email)
    assert found is not None
    assert (found.id, found.name) == (olga.id, "Olga")


@pytest.mark.parametrize(("email", "password"), [(EMAIL, "wrong"), (EMAIL, ""), ("x@y.dk", PASSWORD), ("", "")])
def test_a_wrong_address_and_a_wrong_password_are_the_same(olga: User, email: str, password: str) -> None:
    assert _log_in(email, password) is None
    assert (db.session.scalar(select(func.count()).select_from(LoginFailure)) or 0) > 0


def test_for_an_unknown_address_a_password_is_checked_all_the_same(olga: User, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    verify = accounts._verify
    monkeypatch.setattr(accounts, "_verify", lambda kept, told: checked.append(kept) or verify(kept, told))
    _fail(1)
    _fail(1, "nobody@nordic.example")
    assert checked[0] == olga.password_hash != checked[1]
    assert checked[0].split("$")[:4] == checked[1].split("$")[:4], "the same work: algorithm, memory, passes, lanes"


def test_after_ten_wrong_passwords_even_the_right_one_has_to_wait(olga: User) -> None:
    _fail(accounts.FAILURES_ALLOWED)
    with pytest.raises(TooManyError) as error:
        _log_in()
    assert error.value.retry_after == 15 * 60
    with time_machine.travel(utcnow() + accounts.FAILURE_WINDOW + timedelta(seconds=1)):
        assert _log_in() is not None


def test_a_stranger_does_not_lock_the_owner_out(olga: User) -> None:
    _fail(accounts.FAILURES_ALLOWED, address=THERE)
    for _ in range(10):
        with pytest.raises(TooManyError):
            _log_in(password="wrong", address=THERE)
    assert _log_in(address=HERE) is not None


def test_an_address_that_tries_many_accounts_is_stopped(olga: User) -> None:
    for number in range(accounts.FAILURES_ALLOWED * 5):
        _fail(1, f"{number}@nordic.example")
    with pytest.raises(TooManyError):
        _log_in()
    assert _log_in(address=THERE) is not None


def test_an_account_that_many_addresses_try_is_protected(olga: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "FAILURES_ALLOWED", 2)
    for number in range(20):
        _fail(1, address=f"198.51.100.{number}")
    with pytest.raises(TooManyError):
        _log_in()


def test_an_unknown_account_is_throttled_alike(olga: User) -> None:
    _fail(accounts.FAILURES_ALLOWED, "nobody@nordic.example")
    with pytest.raises(TooManyError):
        _log_in("nobody@nordic.example")


def test_logging_in_forgets_the_failures_before_it(olga: User) -> None:
    _fail(accounts.FAILURES_ALLOWED - 1)
    assert _log_in() is not None
    _fail(accounts.FAILURES_ALLOWED - 1)
    assert _log_in() is not None


# --- sessions ------------------------------------------------------------------------------------


def _start(user: User) -> str:
    with transaction():
        return accounts.start_session(user)


def test_a_session_is_kept_as_a_hash_and_found_by_its_token(olga: User) -> None:
    token = _start(olga)
    found = accounts.find_session(token)
    assert found is not None
    assert found.id == olga.id
    assert token not in db.session.scalars(select(LoginSession.token_hash)).all()
    assert accounts.find_session(token[:-1]) is None


def test_a_session_ends_when_it_is_ended_and_by_itself_after_a_week(olga: User) -> None:
    mine, other = _start(olga), _start(olga)
    with transaction():
        accounts.end_session(mine)
    assert accounts.find_session(mine) is None
    assert accounts.find_session(other) is not None
    with time_machine.travel(utcnow() + timedelta(days=accounts.SESSION_DAYS, seconds=1)):
        assert accounts.find_session(other) is None


def test_every_other_browser_can_be_logged_out(olga: User) -> None:
    mine, *others = (_start(olga) for _ in range(3))
    with transaction():
        assert accounts.end_other_sessions(olga, mine) == 2
    assert accounts.find_session(mine) is not None
    assert all(accounts.find_session(token) is None for token in others)


def test_who_is_removed_is_logged_out(olga: User, lone: int) -> None:
    with transaction():
        mia = accounts.add_member(lone, "mia@nordic.example", "Mia", PASSWORD, Role.MEMBER)
        token = accounts.start_session(mia)
    with transaction():
        accounts.remove_member(lone, mia.id, olga)
    db.session.expunge_all()
    assert accounts.find_session(token) is None


# --- passwords and people ------------------------------------------------------------------------


def test_a_password_is_hashed_with_argon2id_at_owasps_floor(olga: User) -> None:
    assert olga.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("password", ["", "short", "x" * 11, "x" * 129, "aaaaaaaaaaaaaaaa", "abababababab", EMAIL])
def test_a_password_that_is_easy_to_guess_is_refused(password: str) -> None:
    with pytest.raises(InvalidError) as error:
        accounts.hash_password(password, words=(EMAIL,))
    assert error.value.field == "password"


@pytest.mark.parametrize("password", ["four quiet words", "x1y2z3 x1y2z3", "пароль из слов", "w" * 64 + "ords!" * 12])
def test_a_long_password_is_taken_whatever_it_is_made_of(password: str) -> None:
    assert accounts.hash_password(password)


def test_changing_a_password_needs_the_present_one(olga: User) -> None:
    with pytest.raises(InvalidError) as error, transaction():
        accounts.change_password(olga, "wrong", "another four words")
    assert error.value.field == "old_password"
    with transaction():
        accounts.change_password(olga, PASSWORD, "another four words")
    assert _log_in() is None
    assert _log_in(password="another four words") is not None


def test_an_address_logs_in_to_one_merchant_only(olga: User, lone: int) -> None:
    other = stage.make_merchant()
    with pytest.raises(ConflictError), transaction():
        accounts.add_member(other, EMAIL.upper(), "", PASSWORD, Role.OWNER)


@pytest.mark.parametrize(("email", "role", "field"), [("no", "owner", "email"), ("a@b.dk", "admin", "role")])
def test_a_member_with_something_wrong_is_refused(lone: int, email: str, role: str, field: str) -> None:
    with pytest.raises(InvalidError) as error, transaction():
        accounts.add_member(lone, email, "", PASSWORD, role)
    assert error.value.field == field


def test_nobody_removes_themselves_or_somebody_elses_people(olga: User, lone: int) -> None:
    other = stage.make_merchant()
    with transaction():
        stranger = accounts.add_member(other, "s@b.dk", "", PASSWORD, Role.OWNER)
    with pytest.raises(InvalidError), transaction():
        accounts.remove_member(lone, olga.id, olga)
    with pytest.raises(NotFoundError), transaction():
        accounts.remove_member(lone, stranger.id, olga)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"programme_name": "x" * 101}, "programme_name"),
        ({"slug": "a"}, "slug"),
        ({"slug": "Nordic"}, "slug"),
        ({"slug": "-nordic"}, "slug"),
        ({"slug": "v1"}, "slug"),
        ({"slug": "a/b"}, "slug"),
        ({"slug": "settings"}, "slug"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
    ],
)
def test_a_programme_with_something_wrong_is_refused(lone: int, change: dict[str, str], field: str) -> None:
    told = {"name": "Nordic", "programme_name": "Club", "slug": "nordic", "timezone": "UTC", **change}
    with pytest.raises(InvalidError) as error, transaction():
        accounts.update_programme(lone, **told)
    assert error.value.field == field


def test_a_short_name_belongs_to_one_merchant_and_may_be_kept(lone: int) -> None:
    other = db.session.get_one(Merchant, stage.make_merchant())
    with pytest.raises(ConflictError), transaction():
        accounts.update_programme(lone, "A", "B", other.slug, "UTC")
    with transaction():
        assert accounts.update_programme(other.id, "New", "Club", other.slug, "Europe/Oslo").timezone == "Europe/Oslo"


# --- API keys ------------------------------------------------------------------------------------


def _key(merchant_id: int, name: str = "Till") -> tuple[ApiKey, str]:
    with transaction():
        return api_keys.create(merchant_id, name)


def test_a_key_is_found_by_its_secret_which_is_stored_nowhere(lone: int) -> None:
    key, secret = _key(lone)
    assert api_keys.authenticate(secret).id == key.id
    assert secret.startswith(key.prefix)
    kept = f"{key.prefix} {key.secret_hash} {key.name}"
    assert secret.split("_")[3] not in kept


@pytest.mark.parametrize("place", [0, 8, 10, 20, 40, -8, -3, -1])
def test_a_single_wrong_character_is_another_key(lone: int, place: int) -> None:
    _, secret = _key(lone)
    changed = list(secret)
    changed[place] = "x" if changed[place] != "x" else "y"
    with pytest.raises(UnauthorizedError):
        api_keys.authenticate("".join(changed))


def test_the_right_checksum_does_not_make_a_key(lone: int) -> None:
    key, _ = _key(lone)
    for body in (f"{key.prefix}_{'a' * 32}", "jc_live_zzzzzzzz_" + "a" * 32, "", "_"):
        with pytest.raises(UnauthorizedError, match="not known"):
            api_keys.authenticate(f"{body}_{api_keys._checksum(body)}")


def test_one_key_is_revoked_and_the_others_go_on(lone: int) -> None:
    (first, old), (_, new) = _key(lone), _key(lone)
    other = stage.make_merchant()
    with pytest.raises(NotFoundError), transaction():
        api_keys.revoke(other, first.id)
    with transaction():
        api_keys.revoke(lone, first.id)
    with pytest.raises(UnauthorizedError, match="revoked"):
        api_keys.authenticate(old)
    assert api_keys.authenticate(new).merchant_id == lone
    assert [key.id for key in api_keys.list_keys(lone)][-1] == first.id


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_key_needs_a_name(lone: int, name: str) -> None:
    with pytest.raises(InvalidError) as error:
        _key(lone, name)
    assert error.value.field == "name"


def test_use_is_written_down_at_most_once_a_minute(lone: int) -> None:
    key, _ = _key(lone)
    assert api_keys.use_is_stale(key)
    with transaction():
        api_keys.note_use(key.id)
    db.session.refresh(key)
    assert not api_keys.use_is_stale(key)
    with time_machine.travel(utcnow() + timedelta(seconds=61)):
        assert api_keys.use_is_stale(key)
