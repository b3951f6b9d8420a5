"""`/api/accounts`: the one account that the caller's token or key belongs to.

The account's id is also its public API key.
"""

import json

from flask import Response

from sandbox.klaviyo import documents
from sandbox.klaviyo.documents import Resource
from sandbox.klaviyo.errors import not_found
from sandbox.klaviyo.gate import Call, operation
from sandbox.store import Row

_FIELDS = (
    "test_account", "contact_information", "industry", "timezone", "preferred_currency", "public_api_key", "locale",
)  # fmt: skip


@operation("get_accounts")
def get_accounts(call: Call) -> Response:
    rows = call.world.store.rows("SELECT * FROM account WHERE pk = ?", (call.account,))
    return documents.many([documents.sparse(_account_resource(row), _FIELDS) for row in rows])


@operation("get_account")
def get_account(call: Call, id: str) -> Response:  # noqa: A002
    row = call.world.store.row("SELECT * FROM account WHERE pk = ? AND id = ?", (call.account, id))
    if row is None:
        raise not_found(f"An account with id {id} does not exist.")
    return documents.one(documents.sparse(_account_resource(row), _FIELDS))


def _account_resource(row: Row) -> Resource:
    return documents.resource("account", "accounts", row["id"], json.loads(row["attributes"]))
