-- Schema cdc, in each watched database: what is declared there, and what belongs beside the rows.

comment on schema cdc is 'Declarations of the cdc service: which tables are embedded, and how far that is.';

-- One row: how the service that watches this database is set up. Written by the service at start.
create table cdc.service (
    only_row    boolean primary key default true check (only_row),
    publication text not null,
    -- Tables that must not be published whole, and schemas (`name.*`), as SQL writes names: the service publishes these.
    restricted  text[] not null default '{}'
);

-- What the service leaves out of a table: these columns, and the rows that do not meet the condition. Kept to know a
-- condition again, which the server writes in its own way, and whose column list it is: ours or the owner's.
create table cdc.restrictions (
    table_schema    text not null,
    table_name      text not null,
    columns         text[] not null,
    -- The table, and the columns by their numbers, with the names they were left out by: renamed, they stay left out.
    relation        oid not null,
    hidden          jsonb not null,
    filter          text,
    filter_in_force text,
    primary key (table_schema, table_name)
);

create table cdc.embeddings (
    id            integer generated always as identity primary key,
    table_schema  text not null,
    table_name    text not null,
    -- What is embedded: these columns one after the other; or a template that names them; or an expression in SQL that
    -- uses them. `data.title` is the value at that path in column data, unless a column has this very name.
    columns       text[] not null,
    template      text,
    expression    text,
    -- A condition in SQL: other rows have no vector.
    filter        text,
    -- All columns of the table that text and filter are made from.
    reads         text[] not null default '{}',
    -- Where the vectors go: a table of its own (one row per source row, or one per chunk of its text), or a column of the
    -- same table.
    target_kind   text not null check (target_kind in ('table', 'column', 'chunks')),
    chunk_tokens  integer check (chunk_tokens > 0),
    chunk_overlap integer check (chunk_overlap >= 0 and chunk_overlap < chunk_tokens),
    target_schema text not null,
    target_table  text not null,
    target_column text not null,
    fk            boolean not null default false,
    -- Pinned by the service when the target is made: another model is refused from then on.
    model         text,
    dimensions    integer check (dimensions > 0),
    -- Null: what suits the dimensions, chosen with the model.
    vector_type   text check (vector_type in ('vector', 'halfvec')),
    metric        text not null default 'cosine' check (metric in ('cosine', 'inner_product', 'l2')),
    -- The index that is made once all rows have their vectors.
    index_type    text not null default 'none' check (index_type in ('hnsw', 'none')),
    -- The declaration whose place this one takes when it is filled, and since when searches read this one (null: not yet,
    -- or no more).
    replaces      integer references cdc.embeddings on delete set null,
    live_at       timestamptz default now(),
    -- Since when another one stands in its place. It is followed until it is dropped.
    retired_at    timestamptz,
    -- How far the index is, what it waits for or failed at, and since when it is there. Null: nothing was done yet.
    index_state   text check (index_state in ('waiting', 'building', 'ready', 'failed')),
    index_reason  text,
    indexed_at    timestamptz,
    -- Why the service cannot serve this declaration; null when it can.
    problem       text,
    declared_at   timestamptz not null default now(),
    prepared_at   timestamptz,
    unique (target_schema, target_table, target_column),
    check (cardinality(columns) > 0 or expression is not null),
    check (template is null or expression is null),
    check ((target_kind = 'chunks') = (chunk_tokens is not null))
);
create index embeddings_by_table on cdc.embeddings (table_schema, table_name);

-- Hash of the text that a vector in a column of the user's own table, or the chunks of a row, stand for; a target table
-- with one vector per row keeps its own.
create table cdc.hashes (
    embedding_id integer not null references cdc.embeddings on delete cascade,
    key          text not null,
    hash         bytea not null,
    primary key (embedding_id, key)
);

-- Texts put aside: the provider refuses them, and only their change or a person's word tries them again.
create table cdc.embedding_errors (
    embedding_id integer not null references cdc.embeddings on delete cascade,
    key          text not null,
    -- Of the chunk; 0 where the whole text is embedded.
    ordinal      integer not null default 0,
    hash         bytea not null,
    reason       text not null,
    failed_at    timestamptz not null default now(),
    primary key (embedding_id, key, ordinal)
);

-- Whether a declaration's target is called so, as `target` names it: with its schema or without, columns by their name.
create function cdc.embed_called(declared cdc.embeddings, target text)
returns boolean
language sql stable
return case declared.target_kind
           when 'column' then target = declared.target_column
           else target in (declared.target_table, declared.target_schema || '.' || declared.target_table,
                           format('%I.%I', declared.target_schema, declared.target_table))
       end;

-- The columns that some SQL over a row of a table uses: those without which it cannot be run. It is run as the caller and
-- on no row; `offset 0` keeps the planner from computing with a row that is not there. `what` is for the complaint.
create function cdc.embed_uses(source regclass, clause text, what text, example text)
returns text[]
language plpgsql
as $$
declare
    row_type text;
    left_out name;
    others   text;
    used     text[] := '{}';
begin
    select format('%I.%I', n.nspname, c.relname) into row_type
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = source;
    for left_out in
        select null
         union all
        (select a.attname from pg_attribute a where a.attrelid = source and a.attnum > 0 and not a.attisdropped
          order by a.attnum)
    loop
        select coalesce(string_agg(format('(o.r).%1$I as %1$I', a.attname), ', '), '') into others
          from pg_attribute a
         where a.attrelid = source and a.attnum > 0 and not a.attisdropped and a.attname is distinct from left_out;
        begin
            execute format('select (select %s from (select cdc_source.*) cdc_row)'
                           ' from (select %s from (select null::%s as r offset 0) o offset 0) cdc_source limit 0',
                           clause, others, row_type);
        exception when others then
            if left_out is null then
                raise exception 'cdc.embed: % cannot be used: %', what, sqlerrm
                    using hint = format('Write SQL over one row, its columns by their plain names, such as %s.', example),
                          errcode = sqlstate;
            end if;
            used := used || left_out::text;
        end;
    end loop;
    return used;
end
$$;

-- What the text of a row is made from: `fields`, which are columns or paths into json columns, and `reads`, all columns
-- that text and filter need.
create function cdc.embed_reads(
    source     regclass,
    columns    text[],
    template   text,
    expression text,
    filter     text,
    out fields text[],
    out reads  text[]
)
language plpgsql
as $$
declare
    pieces  text[];
    missing text;
begin
    if num_nonnulls(columns, template, expression) = 0 or cardinality(columns) = 0 then
        raise exception 'cdc.embed: no columns given'
            using hint = 'Write columns => ARRAY[''title'', ''content''], or a template or an expression.',
                  errcode = 'invalid_parameter_value';
    end if;
    if num_nonnulls(columns, template, expression) > 1 then
        raise exception 'cdc.embed: the text of a row has one source'
            using hint = 'Give columns, or a template, or an expression.', errcode = 'invalid_parameter_value';
    end if;

    if expression is not null then
        fields := cdc.embed_uses(source, format(e'(\n%s\n)::text', expression), 'the expression',
                                 'title || '' by '' || author');
        reads := fields;
    else
        fields := columns;
        if template is not null then
            select array_agg(m[1]) into pieces from regexp_matches(template, '(\{\{|\}\}|\{[^{}]+\}|[{}])', 'g') as m;
            if pieces && array['{', '}'] then
                raise exception 'cdc.embed: a brace of the template stands alone'
                    using hint = 'Names of columns stand in braces, {title}; a brace itself is written twice, {{ or }}.',
                          errcode = 'invalid_parameter_value';
            end if;
            select array_agg(named.field order by named.place) into fields
              from (select btrim(piece, '{}') as field, min(place) as place
                      from unnest(pieces) with ordinality as p (piece, place)
                     where piece not in ('{{', '}}')
                     group by field) named;
            if fields is null then
                raise exception 'cdc.embed: the template names no column'
                    using hint = 'Write names of columns in braces, such as {title}.', errcode = 'invalid_parameter_value';
            end if;
        end if;
        select string_agg(quote_ident(field), ', ') filter (where a.attname is null),
               array_agg(distinct a.attname::text)
          into missing, reads
          from unnest(fields) as field
          left join lateral (
                   select a.attname from pg_attribute a
                    where a.attrelid = source and a.attnum > 0 and not a.attisdropped
                      and (a.attname = field
                           or a.attname = split_part(field, '.', 1) and a.atttypid in ('json'::regtype, 'jsonb'::regtype))
                    order by a.attname = field desc limit 1) a on true;
        if missing is not null then
            raise exception 'cdc.embed: table % has no column %', source, missing
                using hint = 'Check the spelling; names are case-sensitive here.'
                             || case when missing like '%.%' then ' A dot goes into a json column.' else '' end,
                      errcode = 'undefined_column';
        end if;
    end if;

    if filter is not null then
        select coalesce(array_agg(distinct name), '{}') into reads
          from unnest(reads || cdc.embed_uses(source, format(e'case when (\n%s\n) then 1 end', filter), 'the filter',
                                              'published and length(title) > 3')) as name;
    end if;
end
$$;

-- Where vectors go. `target` is a table when it is schema-qualified, when the vectors are those of chunks, when such a
-- table exists, or when it begins with "<table>_"; a column when the source has one of that name, and in all other
-- cases. Left out it is a table, or called like the target that is replaced, with a number.
create function cdc.embed_target(
    source_schema text,
    source_table  text,
    target        text,
    chunked       boolean,
    replaced      cdc.embeddings,
    out kind      text,
    out t_schema  text,
    out t_table   text,
    out t_column  text
)
language plpgsql
as $$
declare
    source regclass := format('%I.%I', source_schema, source_table)::regclass;
    path   text[];
    base   text;
    number integer;
begin
    if target is null and replaced.id is not null and not (chunked and replaced.target_kind = 'column') then
        kind := case when chunked then 'chunks' else replaced.target_kind end;
        t_schema := replaced.target_schema;
        t_table := replaced.target_table;
        t_column := replaced.target_column;
        base := case kind when 'column' then t_column else t_table end;
        number := coalesce(substring(base from '_(\d{1,2})$')::integer, 1);
        base := regexp_replace(base, '_\d{1,2}$', '');
        loop
            number := number + 1;
            if kind = 'column' then
                t_column := base || '_' || number;
                exit when not exists (select from pg_attribute a where a.attrelid = source and a.attname = t_column)
                       or exists (select from cdc.embeddings e where e.replaces = replaced.id
                                     and (e.target_schema, e.target_table, e.target_column)
                                         = (t_schema, t_table, embed_target.t_column));
            else
                t_table := base || '_' || number;
                exit when to_regclass(format('%I.%I', t_schema, t_table)) is null
                       or exists (select from cdc.embeddings e where e.replaces = replaced.id
                                     and (e.target_schema, e.target_table) = (t_schema, embed_target.t_table));
            end if;
        end loop;
        path := array[t_schema, base || '_' || number];
    else
        target := coalesce(target, source_table || case when chunked then '_chunks' else '_embeddings' end);
        path := case when target like '%.%' then parse_ident(target) else array[source_schema, target] end;
        if cardinality(path) <> 2 then
            raise exception 'cdc.embed: % is not the name of a table', target
                using hint = 'Write schema.table.', errcode = 'invalid_name';
        end if;
        if to_regnamespace(quote_ident(path[1])) is null then
            raise exception 'cdc.embed: there is no schema %', quote_ident(path[1])
                using hint = 'Create it first, or leave the schema out.', errcode = 'invalid_schema_name';
        end if;
        kind := case
            when chunked then 'chunks'
            when target like '%.%' then 'table'
            when exists (select from pg_attribute a
                          where a.attrelid = source and a.attname = target and a.attnum > 0 and not a.attisdropped)
            then 'column'
            when to_regclass(quote_ident(source_schema) || '.' || quote_ident(target)) <> source
              or starts_with(target, source_table || '_')
            then 'table'
            else 'column'
        end;
        t_schema := path[1];
        t_table := case kind when 'column' then source_table else path[2] end;
        t_column := case kind when 'column' then target else 'embedding' end;
    end if;
    if octet_length(path[2]) > 63 then
        raise exception 'cdc.embed: the name % is longer than Postgres keeps', quote_ident(path[2])
            using hint = 'Give a shorter one as target.', errcode = 'name_too_long';
    end if;
    if kind <> 'column' and (t_schema, t_table) = (source_schema, source_table) then
        raise exception 'cdc.embed: % cannot be source and target at once', source
            using hint = 'Name a column of it, or another table.', errcode = 'invalid_parameter_value';
    end if;
end
$$;

-- (The parameter is named target because INTO is a reserved word, which named notation cannot use.)
-- Declare an embedding: check what is said, store the declaration, publish the table, tell the listener.
-- The service then makes the column or table, since only it knows the model's dimensions. Declaring the same thing
-- again changes nothing. With `replaces`, what is left out is as in the declaration replaced.
-- Lock order: cdc.embeddings, then the publication.
create function cdc.embed(
    source        regclass,
    columns       text[] default null,
    target        text default null,
    fk            boolean default false,
    model         text default null,
    template      text default null,
    expression    text default null,
    filter        text default null,
    chunk_tokens  integer default null,
    chunk_overlap integer default null,
    dimensions    integer default null,
    vector_type   text default null,
    metric        text default null,
    index         text default null,
    replaces      text default null
) returns integer
language plpgsql
as $$
declare
    source_schema text;
    source_table  text;
    replaced      cdc.embeddings;
    text_of       record;
    goes_to       record;
    declared      cdc.embeddings;
    publication   text;
begin
    select n.nspname, c.relname into source_schema, source_table
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = source and c.relkind in ('r', 'p');
    if not found then
        raise exception 'cdc.embed: % is not a table', source
            using hint = 'Name an ordinary or partitioned table.', errcode = 'wrong_object_type';
    end if;
    if exists (select from pg_class c where c.oid = source and c.relpersistence <> 'p') then
        raise exception 'cdc.embed: changes of % are not in the WAL', source
            using hint = 'Temporary and unlogged tables cannot be followed: use an ordinary one.',
                  errcode = 'wrong_object_type';
    end if;
    if exists (select from pg_class c where c.oid = source and c.relispartition) then
        raise exception 'cdc.embed: % is a partition', source
            using hint = format('Its changes are published under its root: declare %s.', pg_partition_root(source)),
                  errcode = 'wrong_object_type';
    end if;
    if not exists (select from pg_index i where i.indrelid = source and i.indisprimary) then
        raise exception 'cdc.embed: table % has no primary key', source
            using hint = 'Add one: the vector of a row is found by it.', errcode = 'invalid_table_definition';
    end if;

    if replaces is not null then
        select * into replaced from cdc.embeddings e
         where (e.table_schema, e.table_name) = (source_schema, source_table) and cdc.embed_called(e, embed.replaces)
         order by e.id limit 1;
        if not found then
            raise exception 'cdc.embed: table % has no target %', source, replaces
                using hint = 'Name the table or column whose place the new one takes.', errcode = 'undefined_object';
        end if;
        if num_nonnulls(columns, template, expression) = 0 then
            template := replaced.template;
            expression := replaced.expression;
            columns := case when num_nonnulls(template, expression) = 0 then replaced.columns end;
        end if;
        filter := coalesce(filter, replaced.filter);
        fk := fk or replaced.fk;
        chunk_overlap := coalesce(chunk_overlap, case when chunk_tokens is null then replaced.chunk_overlap end);
        chunk_tokens := coalesce(chunk_tokens, replaced.chunk_tokens);
        model := coalesce(model, case when dimensions is null then replaced.model
                                      else split_part(replaced.model, '@', 1) end);
        -- (Full precision may be too much for an index on another model's vectors.)
        vector_type := coalesce(vector_type, nullif(replaced.vector_type, 'vector'));
        metric := coalesce(metric, replaced.metric);
        index := coalesce(index, replaced.index_type);
    end if;
    if chunk_tokens is null and chunk_overlap is not null then
        raise exception 'cdc.embed: chunk_overlap is given without chunk_tokens'
            using hint = 'Say how many tokens a chunk has.', errcode = 'invalid_parameter_value';
    end if;
    if chunk_tokens <= 0 or chunk_overlap < 0 or chunk_overlap >= chunk_tokens then
        raise exception 'cdc.embed: chunks of % tokens cannot overlap by %', chunk_tokens, coalesce(chunk_overlap, 0)
            using hint = 'Write something like chunk_tokens => 400, chunk_overlap => 50.',
                  errcode = 'invalid_parameter_value';
    end if;
    chunk_overlap := case when chunk_tokens is not null then coalesce(chunk_overlap, 0) end;
    if dimensions <= 0 or vector_type not in ('vector', 'halfvec') or metric not in ('cosine', 'inner_product', 'l2')
       or index not in ('hnsw', 'none') then
        raise exception 'cdc.embed: dimensions, vector_type, metric or index is nothing that we know'
            using hint = 'dimensions are more than 0, vector_type is vector or halfvec, metric is cosine, inner_product'
                         ' or l2, index is hnsw or none.', errcode = 'invalid_parameter_value';
    end if;

    -- In a shell and in an ordinary SQL string a line break is hard to write.
    template := replace(template, '\n', e'\n');
    text_of := cdc.embed_reads(source, columns, template, expression, filter);
    goes_to := cdc.embed_target(source_schema, source_table, target, chunk_tokens is not null, replaced);
    if goes_to.kind = 'column' and goes_to.t_column = any (text_of.reads) then
        raise exception 'cdc.embed: % cannot be source and target at once', quote_ident(goes_to.t_column)
            using hint = 'Choose another column for the vector.', errcode = 'invalid_parameter_value';
    end if;

    -- An index on a column of the owner's own table makes every later UPDATE of a row dear: not without being asked.
    insert into cdc.embeddings as e
           (table_schema, table_name, columns, template, expression, filter, reads, target_kind, chunk_tokens,
            chunk_overlap, target_schema, target_table, target_column, fk, model, dimensions, vector_type, metric,
            index_type, replaces, live_at)
    values (source_schema, source_table, text_of.fields, template, expression, filter, text_of.reads, goes_to.kind,
            chunk_tokens, chunk_overlap, goes_to.t_schema, goes_to.t_table, goes_to.t_column, fk, model, dimensions,
            vector_type, coalesce(metric, 'cosine'),
            coalesce(index, case when goes_to.kind <> 'column'
                                  and to_regclass(format('%I.%I', goes_to.t_schema, goes_to.t_table)) is null
                                 then 'hnsw' else 'none' end),
            replaced.id, case when replaced.id is null then now() end)
    on conflict (target_schema, target_table, target_column) do nothing
    returning * into declared;
    if declared.id is null then
        select * into declared from cdc.embeddings e
         where (e.target_schema, e.target_table, e.target_column)
               = (goes_to.t_schema, goes_to.t_table, goes_to.t_column);
        if (declared.table_schema, declared.table_name, declared.columns, declared.template, declared.expression,
            declared.filter, declared.fk, declared.chunk_tokens, declared.chunk_overlap)
               is distinct from (source_schema, source_table, text_of.fields, embed.template, embed.expression,
                                 embed.filter, embed.fk, embed.chunk_tokens, embed.chunk_overlap)
           or declared.model not in (embed.model, concat(embed.model, '@', embed.dimensions))
           or declared.dimensions <> embed.dimensions
           or declared.vector_type <> embed.vector_type
           or declared.metric <> embed.metric
           or replaced.id is not null and declared.replaces is distinct from replaced.id then
            raise exception 'cdc.embed: % is already filled from %.%(%)%',
                    case goes_to.kind when 'column' then goes_to.t_table || '.' || goes_to.t_column
                                      else goes_to.t_table || '.embedding' end,
                    declared.table_schema, declared.table_name, array_to_string(declared.columns, ', '),
                    coalesce(' with ' || declared.model, '')
                using hint = 'Choose another target, or call cdc.unembed first.',
                      errcode = 'duplicate_object';
        end if;
        update cdc.embeddings e
           set model = coalesce(e.model, embed.model), index_type = coalesce(index, e.index_type)
         where e.id = declared.id
           and (e.model is null and embed.model is not null or e.index_type <> index);
    end if;

    -- In the same transaction, so that no row inserted after this one escapes the stream. Where the caller owns
    -- publication and table this is enough; elsewhere, and where columns or rows are left out, the service does it when
    -- the message below reaches it.
    select s.publication into publication from cdc.service s;
    if publication is not null
       and exists (select from pg_publication p where p.pubname = publication and not p.puballtables
                      and pg_has_role(p.pubowner, 'USAGE'))
       and exists (select from pg_class c where c.oid = source and pg_has_role(c.relowner, 'USAGE'))
       and not exists (select from cdc.service s
                        where array[format('%I.%I', source_schema, source_table), format('%I.*', source_schema)]
                              && s.restricted)
       and not exists (select from pg_publication_tables p
                        where (p.pubname, p.schemaname, p.tablename) = (publication, source_schema, source_table))
    then
        execute format('alter publication %I add table only %s', publication, source);
    end if;

    perform pg_logical_emit_message(true, 'cdc', json_build_object('declared', declared.id)::text);
    return declared.id;
end
$$;
comment on function cdc.embed is 'Keep a vector of the text of every row, those that are there already included.';

-- Forget a declaration. The vectors stay where they are; dropping them is the owner's decision.
create function cdc.unembed(source regclass, target text default null)
returns integer
language sql
begin atomic
    with forgotten as (
        delete from cdc.embeddings e
         where (e.table_schema, e.table_name) = (
                   select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where c.oid = source)
           and (target is null or cdc.embed_called(e, target))
        returning e.id)
    select count(pg_logical_emit_message(true, 'cdc', json_build_object('forgotten', id)::text))::integer
      from forgotten;
end;
comment on function cdc.unembed is 'Stop keeping vectors; those that exist stay.';

-- Try texts again that were put aside: they are forgotten, and auto-embed looks at exactly their rows, which stay as they
-- are. `key` is what stands in cdc.embedding_errors, or the value alone where the primary key is one column. Returns how
-- many rows there are to look at.
create function cdc.retry_embeddings(source regclass, target text default null, key text default null)
returns integer
language sql
begin atomic
    with forgotten as (
        delete from cdc.embedding_errors f
         using cdc.embeddings e
         where e.id = f.embedding_id
           and (e.table_schema, e.table_name) = (
                   select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where c.oid = source)
           and (target is null or cdc.embed_called(e, target))
           and (retry_embeddings.key is null
                or f.key in (retry_embeddings.key, json_build_array(retry_embeddings.key)::text))
        returning e.table_schema, e.table_name, f.key),
    looked_at as (select distinct f.table_schema, f.table_name, f.key from forgotten f)
    select count(pg_logical_emit_message(true, 'cdc.retry', json_build_object(
               'schema', l.table_schema, 'table', l.table_name, 'key', named.key)::text))::integer
      from looked_at l
     cross join lateral (
               select json_object_agg(a.attname, l.key::json ->> (o.place - 1)::integer) as key
                 from pg_constraint p
                cross join unnest(p.conkey) with ordinality as o (attnum, place)
                 join pg_attribute a on a.attrelid = p.conrelid and a.attnum = o.attnum
                where p.conrelid = source and p.contype = 'p') named;
end;
comment on function cdc.retry_embeddings is 'Try texts again that the provider refused.';

-- Send an event of one's own, in the caller's transaction: it exists if and only if that commits. An outbox without a
-- table: nothing is stored here, the listener reads the message from the WAL. With an id of its own the event counts
-- once in 24 hours; with a ts in the future its runs start then; "user" and v are the sender's.
--
-- The message is a line with the name, and the rest as JSON if there is any, and below it the data as JSON. Line breaks
-- stand in JSON only between values, so that they may become spaces.
create function cdc.send(
    name   text,
    data   json default '{}',
    id     text default null,
    ts     timestamptz default null,
    "user" json default null,
    v      text default null
) returns void
language plpgsql
as $$
declare
    given json;
begin
    if coalesce(name, '') = '' or name ~ '\s' or name like 'db/%' or name like 'cdc/signal.%' or name ilike 'inngest/%' then
        raise exception 'cdc.send: % is not a name for an event of your own', coalesce(quote_literal(name), 'null')
            using hint = 'Write it like app/order.paid; db/, cdc/signal. and inngest/ are taken.',
                  errcode = 'invalid_parameter_value';
    end if;
    if data is null or json_typeof(data) <> 'object' then
        raise exception 'cdc.send: the data of an event is a JSON object'
            using hint = 'Write it like ''{"id": 1}''.', errcode = 'invalid_parameter_value';
    end if;
    if json_typeof("user") <> 'object' then
        raise exception 'cdc.send: the user of an event is a JSON object'
            using hint = 'Write it like ''{"id": 1}''.', errcode = 'invalid_parameter_value';
    end if;
    if ts < '1980-01-01 00:00+00' or ts >= '2100-01-01 00:00+00' then
        raise exception 'cdc.send: % is not a time for an event', ts
            using hint = 'Give one between 1980 and 2100.', errcode = 'invalid_parameter_value';
    end if;
    if id = '' or length(id) > 255 or length(v) > 255 then
        raise exception 'cdc.send: the id of an event has 1 to 255 characters, its v at most 255'
            using hint = 'Leave it out to have one made.', errcode = 'invalid_parameter_value';
    end if;
    given := json_strip_nulls(json_build_object('id', id, 'ts', floor(extract(epoch from ts) * 1000)::bigint, 'v', v));
    perform pg_logical_emit_message(true, 'cdc.send', concat(
        name,
        case when given::text <> '{}' or "user" is not null
             then ' ' || translate(json_build_object('given', given, 'user', "user")::text, e'\n\r', '  ') end,
        e'\n', data));
end
$$;
comment on function cdc.send is 'Send an event, transactionally with whatever else this transaction does.';

-- Send a signal to the run that waits for it, in the caller's transaction; when none does, nothing happens.
create function cdc.signal(name text, data json default '{}')
returns void
language plpgsql
as $$
begin
    if coalesce(name, '') = '' or name ~ '\s' then
        raise exception 'cdc.signal: % is not the name of a signal', coalesce(quote_literal(name), 'null')
            using hint = 'Name the one that a run waits for.', errcode = 'invalid_parameter_value';
    end if;
    if data is null or json_typeof(data) <> 'object' then
        raise exception 'cdc.signal: the data of a signal is a JSON object'
            using hint = 'Write it like ''{"id": 1}''.', errcode = 'invalid_parameter_value';
    end if;
    perform pg_logical_emit_message(true, 'cdc.send', concat('cdc/signal.', name, e'\n', data));
end
$$;
comment on function cdc.signal is 'Send a signal, transactionally with whatever else this transaction does.';

-- The declaration that a search of a table reads: the one named, by its target's or column's name, with or without what
-- it is in; else the one that is live.
create function cdc.searched(source regclass, target text default null)
returns cdc.embeddings
language plpgsql stable
as $$
declare
    chosen cdc.embeddings[];
    known  text;
begin
    select array_agg(e order by e.id) filter (
               where case when searched.target is null then e.live_at is not null
                     else right('.' || named.full_name, length(searched.target) + 1) = '.' || searched.target end),
           string_agg(named.full_name, ', ' order by e.id)
      into chosen, known
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join cdc.embeddings e on (e.table_schema, e.table_name) = (n.nspname, c.relname)
     cross join lateral (select concat_ws('.', e.target_schema, e.target_table,
                                case e.target_kind when 'column' then e.target_column end)) as named (full_name)
     where c.oid = source;
    if known is null then
        raise exception 'cdc.search: % has no embedding', source
            using hint = format('Declare one: SELECT cdc.embed(%L, ARRAY[''<column>'']);', source),
                  errcode = 'undefined_object';
    end if;
    if coalesce(cardinality(chosen), 0) <> 1 then
        raise exception 'cdc.search: % has %', source,
                case when cardinality(chosen) > 1 then 'several targets'
                     when searched.target is null then 'no target that is filled'
                     else 'no target ' || searched.target end
            using hint = format('Name one of: %s.', known), errcode = 'undefined_object';
    end if;
    if chosen[1].prepared_at is null then
        raise exception 'cdc.search: % cannot be searched yet', coalesce(searched.target, chosen[1].target_table)
            using hint = coalesce(chosen[1].problem, 'It is still being made.'),
                  errcode = 'object_not_in_prerequisite_state';
    end if;
    return chosen[1];
end
$$;
comment on function cdc.searched is 'The declaration that cdc.search reads.';

-- What a field is: a column, or a path into a json column (`data.title`), as in declarations; `name` is null when the
-- table has no such column.
create function cdc.searched_fields(source regclass, fields text[])
returns table (place bigint, field text, name name, path text[])
language sql stable
begin atomic
    select o.place, o.field, a.attname, case when a.attname <> o.field then (string_to_array(o.field, '.'))[2:] end
      from unnest(fields) with ordinality as o (field, place)
      left join lateral (
               select a.attname from pg_attribute a
                where a.attrelid = source and a.attnum > 0 and not a.attisdropped
                  and (a.attname = o.field
                       or a.attname = split_part(o.field, '.', 1) and a.atttypid in ('json'::regtype, 'jsonb'::regtype))
                order by a.attname = o.field desc
                limit 1) a on true;
end;
comment on function cdc.searched_fields is 'The columns that fields of a declaration or a search stand for.';

-- What hybrid search matches words with, as SQL about row `s` (of chunks: about chunk `t`); an index on this expression
-- serves it. (Cut, because a tsvector is at most 1 MB, and one long text must not fail the others.)
create function cdc.searched_text(source regclass, declared cdc.embeddings, language regconfig)
returns text
language sql stable
begin atomic
    select format('to_tsvector(%L::regconfig, left(%s, 250000))', language,
               case when declared.target_kind = 'chunks' then 't.chunk'
                    else string_agg(format(case when f.path is null then 'coalesce(s.%1$I::text, '''')'
                                                else 'coalesce(s.%1$I #>> %2$L, '''')' end, f.name, f.path),
                                    ' || '' '' || ' order by f.place) end)
      from cdc.searched_fields(source, declared.columns) f
     where f.name is not null;
end;
comment on function cdc.searched_text is 'What hybrid search matches words with.';

-- A filter as a condition on row `s`: `{"tenant_id": 7, "kind": ["a", "b"], "deleted_at": null}`. Its values are elements
-- of the parameter $2, `given`, read as the column's type without its length, which would cut them to fit. A list means
-- any of its values, null that there is none.
create function cdc.searched_where(source regclass, filter jsonb, out condition text, out given text[])
language plpgsql stable
as $$
declare
    name   text;
    wanted jsonb;
    texts  text[];
    type   text;
begin
    condition := 'true';
    given := '{}';
    if jsonb_typeof(filter) <> 'object' then
        raise exception 'cdc.search: the filter is not a JSON object'
            using hint = 'Write it like {"tenant_id": 7, "kind": ["a", "b"]}.', errcode = 'invalid_parameter_value';
    end if;
    for name, wanted in select f.key, f.value from jsonb_each(filter) f loop
        select format_type(a.atttypid, -1) into type
          from pg_attribute a
         where a.attrelid = source and a.attname = name and a.attnum > 0 and not a.attisdropped;
        if not found then
            raise exception 'cdc.search: table % has no column %', source, quote_ident(name)
                using hint = 'Check the spelling; names are case-sensitive here.', errcode = 'undefined_column';
        end if;
        wanted := case jsonb_typeof(wanted) when 'array' then wanted else jsonb_build_array(wanted) end;
        select coalesce(array_agg(v.value #>> '{}') filter (where v.value <> 'null'), '{}') into texts
          from jsonb_array_elements(wanted) as v (value);
        select format('%s and (%s)', condition, concat_ws(' or ',
                   case when wanted = '[]' then 'false' end,
                   case when wanted @> '[null]' then format('s.%I is null', name) end,
                   case when cardinality(texts) > 0 then format('s.%I = any (array[%s])', name,
                       string_agg(format('($2[%s])::%s', cardinality(given) + n, type), ', ' order by n)) end))
          into condition
          from generate_series(1, cardinality(texts)) n;
        given := given || texts;
    end loop;
end
$$;
comment on function cdc.searched_where is 'The condition that a filter of cdc.search stands for.';

-- The rows nearest to a vector; with `words` also those that have the words, the two lists fused by their ranks
-- (reciprocal rank fusion with k = 60: Cormack, Clarke, Buettcher 2009). The filter is part of both lists' queries: rows
-- that it leaves out are not even candidates. All is read with the caller's rights, row-level security included.
--
-- An index on vectors gives approximate answers, and may give out too few: then more chunks are asked for, and at last
-- all rows without the index.
create function cdc.search(
    source      regclass,
    query       text,
    "limit"     integer default 5,
    filter      jsonb default null,
    words       text default null,
    target      text default null,
    language    regconfig default 'simple',
    columns     text[] default null,
    every_chunk boolean default false
) returns table (
    key jsonb, "row" json, ordinal integer, chunk text, distance double precision, score double precision,
    vector_rank integer, text_rank integer
)
language plpgsql
as $$
declare
    declared  cdc.embeddings := cdc.searched(source, target);
    chunked   boolean := declared.target_kind = 'chunks';
    collapsed boolean := chunked and not coalesce(every_chunk, false);
    place     text := case when chunked then 't.ordinal' else '0' end;
    keys      text;
    s_key     text;
    t_key     text;
    top_key   text;
    tables    text;
    vector    text;
    away      text;
    shown     text;
    condition text;
    given     text[];
    matching  text := '';
    document  text;
    missing   text;
    settings  text[] := array['hnsw.ef_search', 'hnsw.iterative_scan', 'enable_seqscan', 'jit'];
    before    text[];
    iterates  boolean;
    indexed   boolean;
    pool      integer := greatest(4 * "limit", 40);
    most      integer;
    hits      record;
begin
    if "limit" is null or "limit" not between 1 and 1000 then
        raise exception 'cdc.search: the limit is 1 to 1000' using errcode = 'invalid_parameter_value';
    end if;
    select string_agg(quote_ident(a.attname), ', ' order by o.place),
           string_agg(format('s.%I', a.attname), ', ' order by o.place),
           string_agg(format('t.%I', a.attname), ', ' order by o.place),
           string_agg(format('top.%I', a.attname), ', ' order by o.place)
      into keys, s_key, t_key, top_key
      from pg_constraint p
     cross join unnest(p.conkey) with ordinality as o (attnum, place)
      join pg_attribute a on a.attrelid = p.conrelid and a.attnum = o.attnum
     where p.conrelid = source and p.contype = 'p';

    -- How far a row is from the query, in the operator of the metric, wherever pgvector lives.
    vector := format(case declared.target_kind when 'column' then 's.%I' else 't.%I' end, declared.target_column);
    select format('%1$s operator(%2$I.%3$s) $1::%2$I.%4$I', vector, n.nspname,
               case declared.metric when 'cosine' then '<=>' when 'inner_product' then '<#>' else '<->' end, t.typname)
      into away
      from pg_namespace tn
      join pg_class c on c.relnamespace = tn.oid
      join pg_attribute a on a.attrelid = c.oid
      join pg_type t on t.oid = a.atttypid
      join pg_namespace n on n.oid = t.typnamespace
     where (tn.nspname, c.relname, a.attname) = (declared.target_schema, declared.target_table, declared.target_column);
    tables := format('%s s', source);
    if declared.target_kind <> 'column' then
        tables := format('%s join %I.%I t on (%s) = (%s)', tables, declared.target_schema, declared.target_table,
                         t_key, s_key);
    end if;

    -- What is shown of the row: what is asked for, or all that the caller may read and that is no vector.
    if columns is null then
        select string_agg(format('s.%I', a.attname), ', ' order by a.attnum) into shown
          from pg_attribute a
          join pg_type t on t.oid = a.atttypid
         where a.attrelid = source and a.attnum > 0 and not a.attisdropped
           and t.typname not in ('vector', 'halfvec', 'sparsevec', 'tsvector')
           and has_column_privilege(source, a.attnum, 'select');
    else
        select string_agg(quote_ident(f.field), ', ') filter (where f.name is null),
               string_agg(format(case when f.path is null then 's.%1$I' else '(s.%1$I #> %2$L) as %3$I' end,
                                 f.name, f.path, f.field), ', ' order by f.place) filter (where f.name is not null)
          into missing, shown
          from cdc.searched_fields(source, columns) f;
        if missing is not null then
            raise exception 'cdc.search: table % has no column %', source, missing
                using hint = 'Check the spelling; names are case-sensitive here.', errcode = 'undefined_column';
        end if;
    end if;
    select w.condition, w.given into condition, given from cdc.searched_where(source, filter) w;
    if words is not null then
        document := cdc.searched_text(source, declared, language);
        matching := format($sql$
            union all
            select %1$s, cdc_place, null, row_number() over (order by cdc_match desc, %1$s, cdc_place)
              from (select %2$s, %3$s as cdc_place,
                           ts_rank_cd(%4$s, websearch_to_tsquery(%5$L::regconfig, $3)) as cdc_match
                      from %6$s
                     where %4$s @@ websearch_to_tsquery(%5$L::regconfig, $3) and %7$s is not null and %8$s
                     order by cdc_match desc, %2$s, cdc_place
                     limit $5) matching $sql$, keys, s_key, place, document, language, tables, vector, condition);
    end if;

    -- HNSW looks at 40 candidates by itself, and since pgvector 0.8 goes on when too few of them pass. Long vectors lie
    -- outside their rows, where Postgres does not count them: reading all looks cheap to it and is not.
    select array_agg(nullif(current_setting(o.name, true), '') order by o.place) into before
      from unnest(settings) with ordinality as o (name, place);
    select coalesce((regexp_match(x.extversion, '^(\d+)\.(\d+)'))::integer[] >= array[0, 8], false) into iterates
      from pg_extension x where x.extname = 'vector';
    if iterates then
        perform set_config('hnsw.iterative_scan', 'strict_order', true);
    end if;
    indexed := exists (
        select from pg_index i
          join pg_class c on c.oid = i.indexrelid
          join pg_am m on m.oid = c.relam
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
         where i.indrelid = format('%I.%I', declared.target_schema, declared.target_table)::regclass
           and i.indisvalid and m.amname in ('hnsw', 'ivfflat') and a.attname = declared.target_column);
    if indexed then
        perform set_config('jit', 'off', true);
    end if;

    foreach most in array case when collapsed then array[pool, 100 * "limit", null]
                               when words is null then array["limit", null]
                               else array[pool, null] end loop
        perform set_config('enable_seqscan', case when indexed and most is not null then 'off' else before[3] end, true);
        perform set_config('hnsw.ef_search', least(1000, greatest(40, most, before[1]::integer))::text, true);
        execute format($sql$
            with found as (
                select %1$s, cdc_place, row_number() over (order by cdc_away) as cdc_vector, null::bigint as cdc_text
                  from (select %2$s, %3$s as cdc_place, %4$s as cdc_away
                          from %5$s
                         where %6$s is not null and %7$s
                         order by %8$s
                         limit $4) nearest %9$s),
            fused as (
                select %1$s, cdc_place, max(cdc_vector) as cdc_vector, max(cdc_text) as cdc_text,
                       sum(1.0::float8 / (60 + coalesce(cdc_vector, cdc_text))) as cdc_score
                  from found
                 group by %1$s, cdc_place),
            best as (
                select %10$s * from fused order by %11$s cdc_score desc, cdc_vector, cdc_text, %1$s, cdc_place),
            top as (
                select row_number() over (order by cdc_score desc, cdc_vector, cdc_text) as cdc_nth, best.* from best
                 order by cdc_nth
                 limit $6)
            select array_agg(h.key order by cdc_nth) as keys, array_agg(h."row" order by cdc_nth) as "rows",
                   array_agg(h.ordinal order by cdc_nth) as ordinals, array_agg(h.chunk order by cdc_nth) as chunks,
                   array_agg(h.distance order by cdc_nth) as distances, array_agg(h.score order by cdc_nth) as scores,
                   array_agg(h.vector_rank order by cdc_nth) as vector_ranks,
                   array_agg(h.text_rank order by cdc_nth) as text_ranks
              from (select cdc_nth, (select to_jsonb(k) from (select %2$s) k) as key,
                           (select to_json(r) from (select %12$s) r) as "row",
                           %13$s as ordinal, %14$s as chunk, %4$s as distance,
                           %15$s as score, cdc_vector::integer as vector_rank, cdc_text::integer as text_rank
                      from %5$s
                      join top on (%16$s) = (%2$s) and cdc_place = %3$s) h $sql$,
            keys, s_key, place, away, tables, vector, condition,
            case when most is null then format('(%s) + 0', away) else away end,
            matching,
            case when collapsed then format('distinct on (%s)', keys) else '' end,
            case when collapsed then keys || ',' else '' end,
            coalesce(shown, ''),
            case when chunked then 't.ordinal::integer' else 'null::integer' end,
            case when chunked then 't.chunk::text' else 'null::text' end,
            case when words is null then 'null::float8' else 'cdc_score' end,
            top_key)
          into hits
         using translate(query, '{}', '[]'), given, words, most, pool, "limit";
        exit when cardinality(hits.keys) >= "limit";
    end loop;

    perform set_config('hnsw.ef_search', coalesce(before[1], '40'), true);
    if iterates then
        perform set_config('hnsw.iterative_scan', coalesce(before[2], 'off'), true);
    end if;
    perform set_config('enable_seqscan', before[3], true);
    perform set_config('jit', before[4], true);
    return query
        select * from unnest(hits.keys, hits."rows", hits.ordinals, hits.chunks, hits.distances, hits.scores,
                             hits.vector_ranks, hits.text_ranks);
end
$$;
comment on function cdc.search is 'The rows nearest in meaning to a vector that a model made of a query.';
