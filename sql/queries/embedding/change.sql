-- Declare an embedding that takes the place of another; see cdc.embed in migrations/source. What is null is as there.
-- Parameters: source (as SQL writes a name), target, model, dimensions, vector_type, replaces.
select cdc.embed(%(source)s::regclass, target => %(target)s::text, model => %(model)s::text,
                 dimensions => %(dimensions)s::integer, vector_type => %(vector_type)s::text,
                 replaces => %(replaces)s::text)
