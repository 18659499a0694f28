"""Rows of about 1 kB of text, in words."""

from __future__ import annotations

from random import Random

TABLE = "create table notes (id bigint generated always as identity primary key, body text not null)"

_WORDS = """
 a about after all also and any as at be because but by can come day do even find first for from get
 give go good have he her here him his how I if in into it its just know like look make many me more
 my new no not now of on one only or other our out people say see she so some take tell than that
 the their them then there these they thing think this those time to two up use very want way we
 well what when which who will with would year you your
"""
_SENTENCES = 50


def _sentences() -> str:
    """Each of some 85 characters, with bars between them."""
    words = _WORDS.split()
    return "|".join(" ".join(Random(n).sample(words, 21)) + "." for n in range(_SENTENCES))


INSERT = f"""
insert into notes (body)
select string_agg(sentences[1 + floor(random() * {_SENTENCES})::int], ' ')
  from string_to_array('{_sentences()}', '|') sentences,
       generate_series(1, {{count}}) row, generate_series(1, 11) part
 group by row
"""
"""So many rows, each another text."""
