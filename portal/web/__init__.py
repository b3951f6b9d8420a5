"""Flask glue for every edge that answers a browser: guards, answers, headers, errors, assets, words.

Nothing in here decides anything about the product; it only says how a decision looks over HTTP.
"""

from portal.web import contexts, new_secret
from portal.web.answers import Feedback, carry_over, fragment, give_feedback, is_htmx, refuse, settings, to_page
from portal.web.guards import login_required, member_id, merchant_id, owner_required, public, safe_next, takes_file

__all__ = [
    "Feedback",
    "carry_over",
    "contexts",
    "fragment",
    "give_feedback",
    "is_htmx",
    "login_required",
    "member_id",
    "merchant_id",
    "new_secret",
    "owner_required",
    "public",
    "refuse",
    "safe_next",
    "settings",
    "takes_file",
    "to_page",
]
