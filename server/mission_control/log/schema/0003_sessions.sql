-- Sessions that can be listed, ended one by one, and whose token changes: `previous` still opens for a moment.
alter table sessions add column id text;
alter table sessions add column method text;
alter table sessions add column seen_at text;
alter table sessions add column rotated_at text;
alter table sessions add column address text;
alter table sessions add column user_agent text;
alter table sessions add column previous blob;
update sessions set
    id = 'sess_' || lower(hex(randomblob(8))),
    method = case when key_id is null then 'link' else 'key' end,
    seen_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'),
    rotated_at = created_at;
create unique index sessions_by_id on sessions (id);

-- When each key was last used, and from where: written about once a minute, not with each request.
create table key_uses (key_id text primary key, at text not null, address text);
