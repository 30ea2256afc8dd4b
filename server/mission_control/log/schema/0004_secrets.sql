-- Named secrets: what may be known of them. Their values are in `secrets`, under the owner `named`.
create table named_secrets (name text primary key, doc blob not null);
