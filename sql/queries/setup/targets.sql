-- Where the vectors of the declared embeddings are.
select format('%I.%I', target_schema, target_table)
       || case target_kind when 'column' then format(' (column %I)', target_column) else '' end
  from cdc.embeddings order by id
