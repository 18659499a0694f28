"""The one style sheet of all pages."""

from __future__ import annotations

import re

from cdc.web.pages import STATIC


def test_every_block_of_the_sheet_ends_where_the_next_section_begins() -> None:
    sheet = (STATIC / "style.css").read_text(encoding="utf-8")
    sections = re.split(r"^/\* --- .* --- \*/$", sheet, flags=re.MULTILINE)
    assert len(sections) > 5
    for section in sections:
        assert section.count("{") == section.count("}"), section[:200]
