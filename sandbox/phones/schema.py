"""The tables of the phones. What an Android phone carries, the stand-in for Google keeps under the phone's id."""

TABLES = (
    """CREATE TABLE IF NOT EXISTS phone (
        pk INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
        device TEXT NOT NULL, token TEXT NOT NULL UNIQUE, offline INTEGER NOT NULL DEFAULT 0, made REAL NOT NULL,
        cleared REAL NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS card (
        pk INTEGER PRIMARY KEY AUTOINCREMENT, phone INTEGER NOT NULL, pass_type TEXT NOT NULL, serial TEXT NOT NULL,
        web_service TEXT NOT NULL, authentication_token TEXT NOT NULL, pkpass BLOB NOT NULL, last_modified TEXT,
        automatic INTEGER NOT NULL DEFAULT 1, notify INTEGER NOT NULL DEFAULT 1, registered INTEGER NOT NULL DEFAULT 0,
        installed REAL NOT NULL, updated REAL NOT NULL, UNIQUE (phone, pass_type, serial))""",
    # What a phone has seen of a web service: the tag that it shows when it asks what changed since.
    """CREATE TABLE IF NOT EXISTS seen (
        phone INTEGER NOT NULL, pass_type TEXT NOT NULL, web_service TEXT NOT NULL, tag TEXT NOT NULL,
        PRIMARY KEY (phone, pass_type, web_service))""",
    """CREATE TABLE IF NOT EXISTS notice (
        pk INTEGER PRIMARY KEY AUTOINCREMENT, phone INTEGER NOT NULL, card INTEGER, at REAL NOT NULL,
        title TEXT NOT NULL, text TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS notice_phone ON notice (phone, pk)",
    """CREATE TABLE IF NOT EXISTS happening (
        pk INTEGER PRIMARY KEY, phone INTEGER NOT NULL, at REAL NOT NULL, text TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS happening_phone ON happening (phone, pk)",
    # Something a phone has to do over the network; `asked` counts how often it was asked for, `tries` how often it failed.
    """CREATE TABLE IF NOT EXISTS errand (
        pk INTEGER PRIMARY KEY, phone INTEGER NOT NULL, kind TEXT NOT NULL, web_service TEXT NOT NULL,
        pass_type TEXT NOT NULL, serial TEXT NOT NULL, authentication_token TEXT NOT NULL,
        due REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0, asked INTEGER NOT NULL DEFAULT 1,
        UNIQUE (phone, kind, web_service, pass_type, serial))""",
    # Tokens of phones that are gone, and of which Apple says so.
    "CREATE TABLE IF NOT EXISTS dead_token (token TEXT PRIMARY KEY, at REAL NOT NULL)",
)
ALL_TABLES = ("phone", "card", "seen", "notice", "happening", "errand", "dead_token")
