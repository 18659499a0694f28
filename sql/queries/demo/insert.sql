-- Insert passages. Parameters: titles, contents: arrays of equal length.
insert into documents (title, content)
select passage.title, passage.content
  from unnest(%(titles)s::text[], %(contents)s::text[]) as passage (title, content)
