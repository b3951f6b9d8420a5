"""One HTTP exchange with the outside, whoever is there: a total deadline, no redirects, a bounded answer, no retry.

Shared by the libraries for Klaviyo and the wallets, which know nothing else of ours; it knows nothing of ours at all.
"""

from portal.exchange.answer import Answer, whole_seconds
from portal.exchange.bounded import DEADLINE_SECONDS, USER_AGENT, exchange

__all__ = ["DEADLINE_SECONDS", "USER_AGENT", "Answer", "exchange", "whole_seconds"]
