CREATE TABLE documents (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title   text NOT NULL,
    content text NOT NULL
);

SELECT cdc.embed('documents', ARRAY['title', 'content']);
