"""Every operation the sandbox answers, with the scopes and rate limits Klaviyo's description gives it.

The name is Klaviyo's own operation id. Buckets are counted for each operation and caller, never shared between two.
"""

from dataclasses import dataclass
from enum import Enum


class Tier(Enum):
    """(requests in one second, in sixty seconds, and in a day where that is limited too)"""

    XS = (1, 15)
    XS_DAILY = (1, 15, 100)
    S = (3, 60)
    M = (10, 150)
    L = (75, 750)
    XL = (350, 3500)
    # Of the token endpoint, for each install.
    REFRESH = (10, 10)

    @property
    def per_second(self) -> int:
        return int(self.value[0])


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    scopes: frozenset[str]
    tier: Tier


def _operation(name: str, method: str, path: str, scopes: str, tier: Tier) -> Operation:
    return Operation(name, method, path, frozenset(scopes.split()), tier)


_JOBS = "/api/profile-bulk-import-jobs"

OPERATIONS = {
    each.name: each
    for each in (
        _operation("get_accounts", "GET", "/api/accounts", "accounts:read", Tier.XS),
        _operation("get_account", "GET", "/api/accounts/<id>", "accounts:read", Tier.XS),
        _operation("create_event", "POST", "/api/events", "events:write", Tier.XL),
        _operation("get_events", "GET", "/api/events", "events:read", Tier.XL),
        _operation("get_event", "GET", "/api/events/<id>", "events:read", Tier.M),
        _operation("bulk_create_events", "POST", "/api/event-bulk-create-jobs", "events:write", Tier.M),
        _operation("get_profiles", "GET", "/api/profiles", "profiles:read", Tier.L),
        _operation("create_profile", "POST", "/api/profiles", "profiles:write", Tier.L),
        _operation("get_profile", "GET", "/api/profiles/<id>", "profiles:read", Tier.L),
        _operation("update_profile", "PATCH", "/api/profiles/<id>", "profiles:write", Tier.L),
        _operation("create_or_update_profile", "POST", "/api/profile-import", "profiles:write", Tier.L),
        _operation("merge_profiles", "POST", "/api/profile-merge", "profiles:write", Tier.M),
        _operation(
            "get_segments_for_profile", "GET", "/api/profiles/<id>/segments", "profiles:read segments:read", Tier.S
        ),
        _operation("bulk_import_profiles", "POST", _JOBS, "lists:write profiles:write", Tier.M),
        _operation("get_bulk_import_profiles_jobs", "GET", _JOBS, "lists:read profiles:read", Tier.M),
        _operation("get_bulk_import_profiles_job", "GET", _JOBS + "/<id>", "lists:read profiles:read", Tier.M),
        _operation(
            "get_errors_for_bulk_import_profiles_job", "GET", _JOBS + "/<id>/import-errors", "profiles:read", Tier.M
        ),
        _operation(
            "get_profiles_for_bulk_import_profiles_job", "GET", _JOBS + "/<id>/profiles", "profiles:read", Tier.M
        ),
        _operation(
            "get_profile_ids_for_bulk_import_profiles_job", "GET", _JOBS + "/<id>/relationships/profiles",
            "profiles:read", Tier.M,
        ),
        _operation("get_list_for_bulk_import_profiles_job", "GET", _JOBS + "/<id>/lists", "lists:read", Tier.M),
        _operation(
            "get_list_ids_for_bulk_import_profiles_job", "GET", _JOBS + "/<id>/relationships/lists", "lists:read",
            Tier.M,
        ),
        _operation("get_metrics", "GET", "/api/metrics", "metrics:read", Tier.M),
        _operation("get_metric", "GET", "/api/metrics/<id>", "metrics:read", Tier.M),
        _operation(
            "get_flows_triggered_by_metric", "GET", "/api/metrics/<id>/flow-triggers", "flows:read metrics:read",
            Tier.M,
        ),
        _operation(
            "get_ids_for_flows_triggered_by_metric", "GET", "/api/metrics/<id>/relationships/flow-triggers",
            "flows:read metrics:read", Tier.M,
        ),
        _operation("get_segments", "GET", "/api/segments", "segments:read", Tier.L),
        _operation("get_segment", "GET", "/api/segments/<id>", "segments:read", Tier.L),
        _operation(
            "get_profiles_for_segment", "GET", "/api/segments/<id>/profiles", "profiles:read segments:read", Tier.L
        ),
        _operation(
            "get_profile_ids_for_segment", "GET", "/api/segments/<id>/relationships/profiles",
            "profiles:read segments:read", Tier.L,
        ),
        _operation(
            "get_flows_triggered_by_segment", "GET", "/api/segments/<id>/flow-triggers", "flows:read segments:read",
            Tier.S,
        ),
        _operation(
            "get_ids_for_flows_triggered_by_segment", "GET", "/api/segments/<id>/relationships/flow-triggers",
            "flows:read segments:read", Tier.S,
        ),
        _operation("get_flows", "GET", "/api/flows", "flows:read", Tier.S),
        _operation("create_flow", "POST", "/api/flows", "flows:write", Tier.XS_DAILY),
        _operation("get_flow", "GET", "/api/flows/<id>", "flows:read", Tier.S),
        _operation("update_flow", "PATCH", "/api/flows/<id>", "flows:write", Tier.S),
        _operation(
            "request_profile_deletion", "POST", "/api/data-privacy-deletion-jobs", "data-privacy:write", Tier.S
        ),
    )
}  # fmt: skip

# Stricter buckets that a query parameter brings with it, shared by all operations that take the parameter.
EXTRA_BUCKETS = {
    ("additional-fields[segment]", "profile_count"): Tier.XS,
    ("additional-fields[profile]", "predictive_analytics"): Tier.M,
    ("include", "lists"): Tier.XS,
    ("include", "segments"): Tier.XS,
}

ALL_SCOPES = (  # noqa: SIM905 - words read better than a list of thirty texts
    "accounts:read data-privacy:write campaigns:read campaigns:write catalogs:read catalogs:write events:read"
    " events:write flows:read flows:write forms:read images:read images:write lists:read lists:write metrics:read"
    " metrics:write profiles:read profiles:write segments:read segments:write subscriptions:read subscriptions:write"
    " tags:read tags:write templates:read templates:write webhooks:read webhooks:write"
).split()
