CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE documents (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title        text NOT NULL,
    content      text NOT NULL,
    embedding    vector(512),
    processed_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
