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
    -- What is embedded: the columns one after the other; or a template that names them; or an expression in SQL.
    columns       text[] not null,
    template      text,
    expression    text,
    -- A condition in SQL: other rows have no vector.
    filter        text,
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
    vector_type   text not null default 'vector' check (vector_type in ('vector', 'halfvec')),
    metric        text not null default 'cosine' check (metric in ('cosine', 'inner_product', 'l2')),
    -- The index that is made once all rows have their vectors.
    index_type    text not null default 'none' check (index_type in ('hnsw', 'none')),
    -- The declaration whose place this one takes when it is filled, and since when searches read this one (null: not yet,
    -- or no more).
    replaces      integer references cdc.embeddings on delete set null,
    live_at       timestamptz default now(),
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

-- Hash of the text that a vector in a column of the user's own table stands for; a target table keeps its own.
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
    hash         bytea not null,
    reason       text not null,
    failed_at    timestamptz not null default now(),
    primary key (embedding_id, key)
);

-- (The parameter is named target because INTO is a reserved word, which named notation cannot use.)
-- Declare an embedding: check the names, store the declaration, publish the table, tell the listener.
-- The service then makes the column or table, since only it knows the model's dimensions. Declaring the same thing
-- again changes nothing. Lock order: cdc.embeddings, then the publication.
create function cdc.embed(
    source  regclass,
    columns text[],
    target  text default null,
    fk      boolean default false,
    model   text default null
) returns integer
language plpgsql
as $$
declare
    source_schema text;
    source_table  text;
    missing       text;
    kind          text;
    t_path        text[];
    t_schema      text;
    t_table       text;
    t_column      text;
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

    if columns is null or cardinality(columns) = 0 then
        raise exception 'cdc.embed: no columns given'
            using hint = 'Write columns => ARRAY[''title'', ''content''].', errcode = 'invalid_parameter_value';
    end if;
    select string_agg(quote_ident(wanted), ', ') into missing
      from unnest(columns) as wanted
     where not exists (
         select from pg_attribute a
          where a.attrelid = source and a.attname = wanted and a.attnum > 0 and not a.attisdropped);
    if missing is not null then
        raise exception 'cdc.embed: table % has no column %', source, missing
            using hint = 'Check the spelling; names are case-sensitive here.', errcode = 'undefined_column';
    end if;

    if not exists (select from pg_index i where i.indrelid = source and i.indisprimary) then
        raise exception 'cdc.embed: table % has no primary key', source
            using hint = 'Add one: the vector of a row is found by it.', errcode = 'invalid_table_definition';
    end if;

    -- `target` is a table when it is schema-qualified, when such a table exists, or when it begins with "<table>_";
    -- a column when the source has one of that name, and in all other cases.
    if target is null then
        target := source_table || '_embeddings';
    end if;
    if target like '%.%' then
        t_path := parse_ident(target);
        if cardinality(t_path) <> 2 then
            raise exception 'cdc.embed: % is not the name of a table', target
                using hint = 'Write schema.table.', errcode = 'invalid_name';
        end if;
        if to_regnamespace(quote_ident(t_path[1])) is null then
            raise exception 'cdc.embed: there is no schema %', quote_ident(t_path[1])
                using hint = 'Create it first, or leave the schema out.', errcode = 'invalid_schema_name';
        end if;
        kind := 'table';
    else
        t_path := array[source_schema, target];
        kind := case
            when exists (select from pg_attribute a
                          where a.attrelid = source and a.attname = target and a.attnum > 0 and not a.attisdropped)
            then 'column'
            when to_regclass(quote_ident(source_schema) || '.' || quote_ident(target)) <> source
              or starts_with(target, source_table || '_')
            then 'table'
            else 'column'
        end;
    end if;
    if octet_length(t_path[2]) > 63 then
        raise exception 'cdc.embed: the name % is longer than Postgres keeps', quote_ident(t_path[2])
            using hint = 'Give a shorter one as target.', errcode = 'name_too_long';
    end if;
    if kind = 'table' then
        t_schema := t_path[1];
        t_table := t_path[2];
        t_column := 'embedding';
    else
        t_schema := source_schema;
        t_table := source_table;
        t_column := target;
    end if;
    if kind = 'table' and (t_schema, t_table) = (source_schema, source_table) then
        raise exception 'cdc.embed: % cannot be source and target at once', source
            using hint = 'Name a column of it, or another table.', errcode = 'invalid_parameter_value';
    end if;
    if kind = 'column' and t_column = any (columns) then
        raise exception 'cdc.embed: % cannot be source and target at once', quote_ident(t_column)
            using hint = 'Choose another column for the vector.', errcode = 'invalid_parameter_value';
    end if;

    insert into cdc.embeddings as e
           (table_schema, table_name, columns, target_kind, target_schema, target_table, target_column, fk, model)
    values (source_schema, source_table, columns, kind, t_schema, t_table, t_column, fk, model)
    on conflict (target_schema, target_table, target_column) do nothing
    returning * into declared;
    if declared.id is null then
        select * into declared from cdc.embeddings e
         where (e.target_schema, e.target_table, e.target_column) = (t_schema, t_table, t_column);
        if (declared.table_schema, declared.table_name, declared.columns, declared.fk)
               is distinct from (source_schema, source_table, columns, embed.fk)
           or declared.model <> embed.model then
            raise exception 'cdc.embed: %.% is already filled from %.%(%)%', t_table, t_column,
                    declared.table_schema, declared.table_name, array_to_string(declared.columns, ', '),
                    coalesce(' with ' || declared.model, '')
                using hint = 'Choose another target, or call cdc.unembed first.',
                      errcode = 'duplicate_object';
        end if;
        update cdc.embeddings e set model = embed.model
         where e.id = declared.id and e.model is null and embed.model is not null;
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
comment on function cdc.embed is 'Keep a vector of these columns for every row, those that are there already included.';

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
           and (target is null or target = case e.target_kind when 'column' then e.target_column else e.target_table end
                or e.target_kind = 'table' and target = e.target_schema || '.' || e.target_table)
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
           and (target is null or target = case e.target_kind when 'column' then e.target_column else e.target_table end
                or e.target_kind <> 'column' and target = e.target_schema || '.' || e.target_table)
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
