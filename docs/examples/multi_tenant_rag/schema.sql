-- In the database of each tenant, while the service runs.
CREATE TABLE contacts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    company     text NOT NULL,
    role        text NOT NULL,
    profile     text NOT NULL,
    imported_by uuid NOT NULL UNIQUE,  -- the run, so that a step which is repeated inserts nothing twice
    created_at  timestamptz NOT NULL DEFAULT now()
);

SELECT cdc.embed('contacts', ARRAY['name', 'company', 'role', 'profile']);
