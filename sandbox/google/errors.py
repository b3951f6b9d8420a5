"""Google's error answers: `{"error": {"code", "message", "errors": [{"message", "domain", "reason"}]}}`.

Raise `ApiError`; the application turns it into the answer. The words of `quotaExceeded` are those people reported.
"""

from typing import Any

from flask import Response, jsonify


class ApiError(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    def response(self) -> Response:
        error: dict[str, Any] = {
            "code": self.status,
            "message": self.message,
            "errors": [{"message": self.message, "domain": "walletobjects", "reason": self.reason}],
        }
        if self.status in _STATUS:
            error["status"] = _STATUS[self.status]
        response = jsonify(error=error)
        response.status_code = self.status
        return response


_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


def bad_request(message: str) -> ApiError:
    return ApiError(400, "badRequest", message)


def not_authenticated() -> ApiError:
    return ApiError(401, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token.")


def not_permitted() -> ApiError:
    return ApiError(403, "permissionDenied", "Permission denied.")


def quota_exceeded(issuer: str, kind: str, resource_id: str) -> ApiError:
    what = "class" if kind == "loyaltyClass" else "object"
    told = f"Quota exceeded for issuer {issuer} when adding TEXT_AND_NOTIFY message to {what} {resource_id}."
    return ApiError(403, "quotaExceeded", told)


def not_found(kind: str, resource_id: str) -> ApiError:
    reason = "classNotFound" if kind == "loyaltyClass" else "resourceNotFound"
    return ApiError(404, reason, f"{kind} {resource_id} not found.")


def already_there(resource_id: str) -> ApiError:
    return ApiError(409, "existingResource", f"An object with ID {resource_id} already exists.")


def too_fast() -> ApiError:
    return ApiError(429, "rateLimitExceeded", "Rate limit exceeded: 20 requests per second.")
