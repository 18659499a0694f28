-- An app that is known by its URL only, until its SDK has answered; nothing where one has this URL. Parameters: url.
insert into cdc_state.apps (url) values (%(url)s) on conflict (url) do nothing
