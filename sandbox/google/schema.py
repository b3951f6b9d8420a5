"""The tables of the stand-in, as SQL."""

TABLES = (
    """CREATE TABLE IF NOT EXISTS service_account (
        email TEXT PRIMARY KEY, key_id TEXT NOT NULL, public_key TEXT NOT NULL, issuers TEXT NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS access_token (
        token TEXT PRIMARY KEY, email TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID""",
    # `kind` is loyaltyClass or loyaltyObject; a class has itself as its class.
    """CREATE TABLE IF NOT EXISTS resource (
        kind TEXT NOT NULL, id TEXT NOT NULL, issuer TEXT NOT NULL, class TEXT NOT NULL, body TEXT NOT NULL,
        updated REAL NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS resource_of_class ON resource (class, kind, id)",
    # Somebody who has saved a card.
    """CREATE TABLE IF NOT EXISTS holder (
        object TEXT NOT NULL, holder TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (object, holder)) WITHOUT ROWID""",
    # What notified a card's holders, or was counted as such; the quota is counted here.
    """CREATE TABLE IF NOT EXISTS notification (
        pk INTEGER PRIMARY KEY, resource TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, message TEXT,
        at REAL NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS notification_of ON notification (resource, at)",
    # `due` is when to post it next; NULL once that is over. `status` is the last answer, NULL where none came.
    """CREATE TABLE IF NOT EXISTS callback (
        pk INTEGER PRIMARY KEY, object TEXT NOT NULL, event TEXT NOT NULL, nonce TEXT NOT NULL, url TEXT NOT NULL,
        body TEXT NOT NULL, fault TEXT NOT NULL, made REAL NOT NULL, due REAL, tries INTEGER NOT NULL DEFAULT 0,
        status INTEGER)""",
    "CREATE INDEX IF NOT EXISTS callback_due ON callback (due) WHERE due IS NOT NULL",
)

DATA_TABLES = ("service_account", "access_token", "resource", "holder", "notification", "callback")
