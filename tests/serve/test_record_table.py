from __future__ import annotations

import csv
import json

import pytest
from helpers.extras import reason
from helpers.passages import match, record

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.serve.record_table import COLUMNS, record_row


def test_each_field_of_a_record_has_its_column() -> None:
    one = record("a", matches=(match(),), site="yard", crop="d/a.jpg").to_dict()
    (cells,) = csv.DictReader([record_row(json.loads(json.dumps(one)))], fieldnames=COLUMNS)
    assert set(one) - set(COLUMNS) == {"version", "matches", "corners"}
    for name in set(one) & set(COLUMNS) - {"char_scores", "candidates"}:
        assert cells[name] == str(one[name])
    assert cells["char_scores"] == "0.99 0.99 0.99 0.99 0.99 0.99 0.99"
    assert (cells["x3"], cells["y3"]) == ("110.0", "50.0")
    assert (cells["list"], cells["name"]) == ("staff", "An")


def test_a_name_is_no_formula() -> None:
    one = record("a", matches=(match(),)).to_dict()
    one["matches"][0]["name"] = '=HYPERLINK("http://a")'
    assert "\"'=HYPERLINK(" in record_row(one)
