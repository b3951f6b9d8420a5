"""Merchants, their people, logins and passwords.

A login is a row: deleting it ends the session at once. Unknown address and wrong password look and take the same.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete, func, select

from portal.db import changed_rows, db, new_id, utcnow
from portal.errors import ConflictError, InvalidError, NotFoundError, PortalError, TooManyError
from portal.models import FormerSlug, LoginFailure, LoginSession, Merchant, Programme, Role, User

# OWASP's floor for argon2id: 19 MiB, two passes, one lane.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_DUMMY_HASH = _hasher.hash(secrets.token_urlsafe(16))

SESSION_DAYS = 7
PASSWORD_LENGTH = range(12, 129)
FAILURES_ALLOWED = 10
FAILURE_WINDOW = timedelta(minutes=15)
# Paths of our own that a programme's public links must not hide.
RESERVED_SLUGS = {
    "v1",
    "docs",
    "assets",
    "static",
    "login",
    "logout",
    "oauth",
    "settings",
    "status",
    "activity",
    "passes",
    "card",
    "card-pictures",
    "google-wallet",
    "healthz",
    "readyz",
}


def authenticate(email: str, password: str, address: str) -> User | None:
    """The user, or None for a wrong address or password, which is recorded. Raises `TooManyError` when throttled."""
    email = email.strip().lower()
    subjects = _subjects(email, address)
    _throttle(subjects)
    user: User | None = db.session.scalar(select(User).where(User.email == email))
    if not _verify(user.password_hash if user else _DUMMY_HASH, password) or user is None:
        db.session.add_all(LoginFailure(subject=subject) for subject in subjects)
        return None
    db.session.execute(delete(LoginFailure).where(LoginFailure.subject == next(iter(subjects))))
    if _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = _hasher.hash(password)
    return user


def _subjects(email: str, address: str) -> dict[str, int]:
    """What failures are counted by, and how many of each are allowed.

    The account by itself allows so many that nobody locks its owner out from a few addresses of their own.
    """
    return {
        _subject("account and address", f"{email} {address}"): FAILURES_ALLOWED,
        _subject("address", address): FAILURES_ALLOWED * 5,
        _subject("account", email): FAILURES_ALLOWED * 10,
    }


def _throttle(subjects: Mapping[str, int]) -> None:
    since = utcnow() - FAILURE_WINDOW
    query = select(func.count()).where(LoginFailure.at > since)
    for subject, allowed in subjects.items():
        if (db.session.scalar(query.where(LoginFailure.subject == subject)) or 0) >= allowed:
            raise TooManyError(
                "Too many wrong passwords. Wait 15 minutes, then try again.",
                retry_after=int(FAILURE_WINDOW.total_seconds()),
            )


def _subject(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def start_session(user: User) -> str:
    """Log the user in; the token belongs into the browser's cookie and is stored only as a hash."""
    token = secrets.token_urlsafe(32)
    now = utcnow()
    db.session.add(
        LoginSession(
            token_hash=_hash(token), user_id=user.id, created_at=now, expires_at=now + timedelta(days=SESSION_DAYS)
        )
    )
    return token


def find_session(token: str) -> User | None:
    login = db.session.get(LoginSession, _hash(token))
    return login.user if login and login.expires_at > utcnow() else None


def end_session(token: str) -> None:
    db.session.execute(delete(LoginSession).where(LoginSession.token_hash == _hash(token)))


def end_other_sessions(user: User, token: str) -> int:
    """Log out every other browser of this user; how many there were."""
    query = delete(LoginSession).where(LoginSession.user_id == user.id, LoginSession.token_hash != _hash(token))
    return changed_rows(db.session.execute(query))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def change_password(user: User, old: str, new: str) -> None:
    """Raises `InvalidError` naming `old_password` or `new_password`."""
    user = db.session.merge(user, load=True)
    if not _verify(user.password_hash, old):
        raise InvalidError("This is not your present password.", field="old_password")
    user.password_hash = hash_password(new, field="new_password", words=(user.email, user.merchant.name))


def hash_password(password: str, *, field: str = "password", words: Sequence[str] = ()) -> str:
    """argon2id of an acceptable password. Raises `InvalidError`."""
    _check_password(password, *words, field=field)
    return _hasher.hash(password)


def _check_password(password: str, *words: str, field: str = "password") -> None:
    if len(password) not in PASSWORD_LENGTH:
        raise InvalidError("Use 12 to 128 characters; a few words in a row are easy to remember.", field=field)
    if len(set(password.lower())) < 5 or any(word and password.lower() == word.lower() for word in words):
        raise InvalidError("This password is too easy to guess. Use a few words in a row.", field=field)


# --- people --------------------------------------------------------------------------------------


def team(merchant_id: int) -> Sequence[User]:
    return db.session.scalars(select(User).where(User.merchant_id == merchant_id).order_by(User.id)).all()


def add_member(merchant_id: int, email: str, name: str, password: str, role: str) -> User:
    """Raises `InvalidError` with the field, `ConflictError` when the address is taken."""
    for wrong in complaints(email, password, role):
        raise wrong
    email = _address(email)
    user = User(
        merchant_id=merchant_id,
        email=email,
        name=name.strip()[:100],
        password_hash=_hasher.hash(password),
        role=Role(role),
    )
    db.session.add(user)
    db.session.flush()
    return user


def complaints(email: str, password: str, role: str) -> list[PortalError]:
    """Everything that keeps this person from being added, so that a form can tell all of it at once."""
    found: list[PortalError] = []
    checks = (
        partial(_check_role, role),
        partial(_check_address, email),
        partial(_check_password, password, email.strip()),
    )
    for check in checks:
        try:
            check()
        except PortalError as error:
            found.append(error)
    return found


def _check_role(role: str) -> None:
    if role not in set(Role):
        raise InvalidError("Choose owner or member.", field="role")


def _check_address(email: str) -> None:
    if db.session.scalar(select(User.id).where(User.email == _address(email))):
        raise ConflictError("Somebody already logs in with this address.", field="email")


def _address(email: str) -> str:
    try:
        return validate_email(email.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise InvalidError("This is not an email address.", field="email") from error


def remove_member(merchant_id: int, user_id: int, by: User) -> None:
    user = db.session.scalar(select(User).where(User.merchant_id == merchant_id, User.id == user_id))
    if user is None:
        raise NotFoundError("There is no such person in your team.")
    if user.id == by.id:
        raise InvalidError("You cannot remove yourself. Ask another owner to do it.")
    db.session.delete(user)


# --- programme -----------------------------------------------------------------------------------


def create_merchant(name: str, *, slug: str | None = None, timezone: str = "UTC") -> Merchant:
    """Raises `InvalidError` or `ConflictError` with the field."""
    merchant = Merchant(name="", slug="", programme_name="")
    _fill(merchant, name, f"{name} Club", slug or re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"), timezone)
    db.session.add(merchant)
    db.session.flush()
    db.session.add(Programme(merchant_id=merchant.id))
    db.session.flush()
    return merchant


def update_programme(merchant_id: int, name: str, programme_name: str, slug: str, timezone: str) -> Merchant:
    """Raises `InvalidError` or `ConflictError` with the field."""
    merchant = db.session.get_one(Merchant, merchant_id)
    if timezone != merchant.timezone:
        db.session.get_one(Programme, merchant_id).version = new_id()  # the calendar year begins at another moment
    _fill(merchant, name, programme_name, slug, timezone)
    return merchant


def _fill(merchant: Merchant, name: str, programme_name: str, slug: str, timezone: str) -> None:
    for field, text in (("name", name), ("programme_name", programme_name)):
        if not 1 <= len(text.strip()) <= 100:
            raise InvalidError("Use 1 to 100 characters.", field=field)
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{1,58}[a-z0-9])", slug) or slug in RESERVED_SLUGS:
        raise InvalidError("Use 3 to 60 lower-case letters, digits and hyphens, such as nordic-coffee.", field="slug")
    if timezone not in zoneinfo.available_timezones():
        raise InvalidError("Choose a time zone from the list, such as Europe/Copenhagen.", field="timezone")
    _take_slug(merchant, slug)
    merchant.name, merchant.programme_name, merchant.timezone = name.strip(), programme_name.strip(), timezone


def _take_slug(merchant: Merchant, slug: str) -> None:
    """The last one stays the merchant's: links with it are in customers' mails and on their phones."""
    if slug == merchant.slug:
        return
    with db.session.no_autoflush:
        named = select(Merchant.id).where(Merchant.slug == slug)
        was_named = select(FormerSlug.merchant_id).where(FormerSlug.slug == slug)
        if set(db.session.scalars(named.union(was_named))) - {merchant.id}:
            raise ConflictError("Another programme already has this short name.", field="slug")
        if merchant.id:
            db.session.execute(delete(FormerSlug).where(FormerSlug.slug == slug))
            db.session.add(FormerSlug(slug=merchant.slug, merchant_id=merchant.id))
    merchant.slug = slug
