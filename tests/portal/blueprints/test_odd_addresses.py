"""Numbers in addresses that no row can have are pages that do not exist, never an error of ours."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

HUGE = 10**40


@pytest.mark.parametrize("number", [2**63, HUGE])
@pytest.mark.parametrize("path", ["/activity/{}", "/activity/delivery/{}"])
def test_a_number_that_no_row_can_have_is_not_found(owner: FlaskClient, path: str, number: int) -> None:
    assert owner.get(path.format(number)).status_code == 404


@pytest.mark.parametrize("query", [f"before={HUGE}", "before=-1", "before=x", f"customer=cus_{HUGE}", "customer=cus_²"])
def test_an_odd_filter_of_the_log_is_an_empty_or_a_whole_page(owner: FlaskClient, query: str) -> None:
    assert owner.get(f"/activity?{query}").status_code == 200
