-- The rows nearest to a vector, and with words those that have them; see cdc.search.
-- Parameters: schema, name: of the table; query: a vector as text; limit; filter: JSON; words (null: not hybrid); target;
-- language; columns: those to show; every_chunk.
select h.key, h."row", h.distance, h.ordinal, h.chunk, h.score, h.vector_rank, h.text_rank
  from cdc.search(
           format('%%I.%%I', %(schema)s::text, %(name)s::text)::regclass, %(query)s::text, %(limit)s::integer,
           filter => %(filter)s::jsonb, words => %(words)s::text, target => %(target)s::text,
           language => %(language)s::text::regconfig, columns => %(columns)s::text[],
           every_chunk => %(every_chunk)s::boolean) as h
