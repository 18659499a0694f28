-- Declare an embedding; see cdc.embed in migrations/source. Null leaves a thing to it.
-- Parameters: source (as SQL writes a name), columns, target, fk, model, template, expression, filter, chunk_tokens,
-- chunk_overlap, dimensions, vector_type, metric, index, replaces.
select cdc.embed(
    source => %(source)s::regclass, columns => %(columns)s::text[], target => %(target)s::text, fk => %(fk)s::boolean,
    model => %(model)s::text, template => %(template)s::text, expression => %(expression)s::text,
    filter => %(filter)s::text, chunk_tokens => %(chunk_tokens)s::integer, chunk_overlap => %(chunk_overlap)s::integer,
    dimensions => %(dimensions)s::integer, vector_type => %(vector_type)s::text, metric => %(metric)s::text,
    index => %(index)s::text, replaces => %(replaces)s::text)
