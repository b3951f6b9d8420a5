"""Forms of the sandbox's pages carry no token: a browser that says it comes from another site is refused.

There is nothing to steal here, but a page open elsewhere must not be able to uninstall an app.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import abort, request

View = TypeVar("View", bound=Callable[..., Any])


def same_origin_only(view: View) -> View:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            abort(403)
        return view(*args, **kwargs)

    return cast(View, guarded)
