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
language sql immutable
return case declared.target_kind
           when 'column' then target = declared.target_column
           else target in (declared.target_table, declared.target_schema || '.' || declared.target_table)
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
                using hint = 'Check the spelling; names are case-sensitive here. A dot goes into a json column.',
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
