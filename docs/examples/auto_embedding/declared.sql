-- The same without any function: instead of the file, run this once. Updates and deletes are followed, too.
SELECT cdc.embed(
    'documents', ARRAY['title', 'content'],
    target     => 'embedding',
    model      => 'openai/text-embedding-3-small',
    dimensions => 512
);
