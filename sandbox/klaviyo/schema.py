"""The tables of the stand-in, as SQL.

Keys are integers so that a million profiles and their events stay small; what Klaviyo shows is beside them.
"""

TABLES = (
    """CREATE TABLE IF NOT EXISTS account (
        pk INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, attributes TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS private_key (
        key TEXT PRIMARY KEY, account INTEGER NOT NULL, scopes TEXT NOT NULL, created REAL NOT NULL) WITHOUT ROWID""",
    # One row for each account the app was ever installed in; revoking keeps the row and stamps it.
    """CREATE TABLE IF NOT EXISTS install (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL UNIQUE, scopes TEXT NOT NULL,
        installed REAL NOT NULL, uninstalled REAL, refreshed REAL)""",
    """CREATE TABLE IF NOT EXISTS grant_code (
        code TEXT PRIMARY KEY, account INTEGER NOT NULL, scopes TEXT NOT NULL, redirect_uri TEXT NOT NULL,
        challenge TEXT NOT NULL, created REAL NOT NULL, used REAL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS token (
        token TEXT PRIMARY KEY, kind TEXT NOT NULL, install INTEGER NOT NULL, account INTEGER NOT NULL,
        scopes TEXT NOT NULL, created REAL NOT NULL, last_used REAL NOT NULL, expires REAL, revoked REAL)
        WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS token_of_install ON token (install, kind)",
    """CREATE TABLE IF NOT EXISTS profile (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, id TEXT NOT NULL,
        email TEXT, phone_number TEXT, external_id TEXT, anonymous_id TEXT,
        attributes TEXT NOT NULL DEFAULT '{}', properties TEXT NOT NULL DEFAULT '{}',
        created REAL NOT NULL, updated REAL NOT NULL, last_event INTEGER)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS profile_id ON profile (account, id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS profile_email ON profile (account, email) WHERE email IS NOT NULL",
    "CREATE UNIQUE INDEX IF NOT EXISTS profile_phone ON profile (account, phone_number) WHERE phone_number IS NOT NULL",
    """CREATE UNIQUE INDEX IF NOT EXISTS profile_external ON profile (account, external_id)
        WHERE external_id IS NOT NULL""",
    """CREATE UNIQUE INDEX IF NOT EXISTS profile_anonymous ON profile (account, anonymous_id)
        WHERE anonymous_id IS NOT NULL""",
    "CREATE INDEX IF NOT EXISTS profile_created ON profile (account, created)",
    "CREATE INDEX IF NOT EXISTS profile_updated ON profile (account, updated)",
    # An id that was merged away, and the profile that took its place.
    """CREATE TABLE IF NOT EXISTS merged (
        account INTEGER NOT NULL, id TEXT NOT NULL, profile INTEGER NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (account, id)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS metric (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, id TEXT NOT NULL, integration TEXT NOT NULL,
        name TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS metric_id ON metric (account, id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS metric_name ON metric (account, integration, name)",
    # `dedupe` is the unique_id, or '@' and the time in seconds where none was given.
    """CREATE TABLE IF NOT EXISTS event (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, profile INTEGER NOT NULL, metric INTEGER NOT NULL,
        dedupe TEXT NOT NULL, time INTEGER NOT NULL, value REAL, currency TEXT, backfill INTEGER NOT NULL,
        properties TEXT NOT NULL)""",
    # The unique_id comes first so that a thousand new ones are told to be new by one quick query.
    "CREATE UNIQUE INDEX IF NOT EXISTS event_once ON event (dedupe, profile, metric)",
    "CREATE INDEX IF NOT EXISTS event_of_profile ON event (profile, time)",
    "CREATE INDEX IF NOT EXISTS event_of_account ON event (account, time, metric)",
    # One row: the number of the last request of the journal that is recorded.
    "CREATE TABLE IF NOT EXISTS journal (pk INTEGER PRIMARY KEY, recorded INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS tally (
        account INTEGER NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (account, name)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS list (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS list_member (
        list INTEGER NOT NULL, profile INTEGER NOT NULL, joined REAL NOT NULL,
        PRIMARY KEY (list, profile)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS segment (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        definition TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
        is_active INTEGER NOT NULL, is_processing INTEGER NOT NULL, is_starred INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS segment_member (
        segment INTEGER NOT NULL, profile INTEGER NOT NULL, joined REAL NOT NULL,
        PRIMARY KEY (segment, profile)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS segment_joined ON segment_member (segment, joined, profile)",
    "CREATE INDEX IF NOT EXISTS segment_of_profile ON segment_member (profile)",
    # Segments whose members follow from their definition; those of all others are put there by hand.
    "CREATE TABLE IF NOT EXISTS computed_segment (segment INTEGER PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS flow (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        status TEXT NOT NULL, metric INTEGER, segment INTEGER, created REAL NOT NULL, updated REAL NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS flow_definition (flow INTEGER PRIMARY KEY, definition TEXT NOT NULL)",
    # A profile on its way through a flow. `action` is where it stands (none: at the entry), `due` when it goes on (none:
    # it does not), `body` what is being delivered, rendered once so that every repeat is the same.
    """CREATE TABLE IF NOT EXISTS flow_run (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, flow INTEGER NOT NULL, profile INTEGER NOT NULL, event INTEGER,
        state TEXT NOT NULL, action TEXT, due REAL, tries INTEGER NOT NULL, body TEXT, entered REAL NOT NULL)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS flow_run_once ON flow_run (flow, event) WHERE event IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS flow_run_due ON flow_run (due) WHERE due IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS flow_run_of_profile ON flow_run (profile, flow)",
    # The activity log: each action of each run, a webhook once for each try.
    """CREATE TABLE IF NOT EXISTS flow_step (
        pk INTEGER PRIMARY KEY, run INTEGER NOT NULL, flow INTEGER NOT NULL, profile INTEGER NOT NULL, action TEXT,
        at REAL NOT NULL, outcome TEXT NOT NULL, told TEXT NOT NULL, sent TEXT, answered TEXT)""",
    "CREATE INDEX IF NOT EXISTS flow_step_of_flow ON flow_step (flow)",
    "CREATE INDEX IF NOT EXISTS flow_step_of_profile ON flow_step (profile)",
    """CREATE TABLE IF NOT EXISTS import_job (
        pk INTEGER PRIMARY KEY, account INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
        created REAL NOT NULL, started REAL, completed REAL, total INTEGER NOT NULL,
        done INTEGER NOT NULL, failed INTEGER NOT NULL, lists TEXT NOT NULL, body BLOB)""",
    """CREATE TABLE IF NOT EXISTS import_error (
        pk INTEGER PRIMARY KEY, job INTEGER NOT NULL, id TEXT NOT NULL, code TEXT NOT NULL, title TEXT NOT NULL,
        detail TEXT NOT NULL, pointer TEXT NOT NULL, payload TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS error_of_job ON import_error (job)",
    """CREATE TABLE IF NOT EXISTS import_profile (
        job INTEGER NOT NULL, profile INTEGER NOT NULL, PRIMARY KEY (job, profile)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS switch (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

# Emptied by a reset; the order does not matter because nothing is a foreign key.
DATA_TABLES = (
    "account", "private_key", "install", "grant_code", "token", "profile", "merged", "metric", "event", "tally",
    "list", "list_member", "segment", "segment_member", "computed_segment", "flow",
    "flow_definition", "flow_run", "flow_step", "import_job", "import_error",
    "import_profile", "switch",
)  # fmt: skip
EVENT_TABLES = ("event", "tally", "flow_run", "flow_step")
