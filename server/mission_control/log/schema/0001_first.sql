-- The log. `body` is the payload's JSON exactly as on the wire; `body_sha256` and `chain` stay when a body is pruned.
create table events (
    seq integer primary key,
    at integer not null,            -- microseconds since 1970 at the commit, by the server's clock; order is seq
    type text not null,
    entity text not null,           -- what it is about: a task, desktop, approval or key id
    task_id text,
    desktop_id text,
    actor text not null,            -- JSON {"id","name"}
    body blob,
    body_sha256 blob not null,
    chain blob not null             -- SHA-256(chain before, head fields, body_sha256)
);
create index events_by_task on events (task_id, seq) where task_id is not null;
-- State events: everything but what runs produce in bulk. Readers that want no output never walk over it.
create index events_state on events (seq) where type not in ('task.output', 'task.progress', 'task.response');
create index events_state_by_desktop on events (desktop_id, seq)
    where type not in ('task.output', 'task.progress', 'task.response');
create index events_state_by_task on events (task_id, seq)
    where task_id is not null and type not in ('task.output', 'task.progress', 'task.response');

-- Projections: derived from the log, rebuildable at any time. `doc` is the object as JSON.
create table tasks (
    id text primary key,
    status text not null,
    type text not null,
    desktop_id text not null,
    batch_id text,
    ended_at text,
    archived integer not null,
    doc blob not null
);
create index tasks_by_status on tasks (archived, status, id);
create index tasks_by_end on tasks (archived, status, ended_at, id);
create index tasks_by_desktop on tasks (archived, desktop_id, status, id);
create index tasks_listed on tasks (archived, id);
create index tasks_by_batch on tasks (batch_id, id) where batch_id is not null;

-- How many tasks of each status are listed; kept by triggers, so that counting does not grow with history.
create table task_counts (status text primary key, count integer not null);
create trigger tasks_inserted after insert on tasks when not new.archived begin
    insert into task_counts values (new.status, 1) on conflict (status) do update set count = count + 1;
end;
create trigger tasks_changed after update of status, archived on tasks
    when old.status <> new.status or old.archived <> new.archived begin
    update task_counts set count = count - 1 where status = old.status and not old.archived;
    insert into task_counts select new.status, 1 where not new.archived
        on conflict (status) do update set count = count + 1;
end;

-- How far the output of each run is recorded: bytes, lines and sums at which a run continues.
create table runs (
    task_id text primary key,
    bytes integer not null,
    lines integer not null,
    doc blob not null
);

create table approvals (id text primary key, task_id text not null, status text not null, doc blob not null);
create index approvals_by_status on approvals (status, id);
create table desktops (id text primary key, removed integer not null, doc blob not null);
create table keys (id text primary key, doc blob not null);
create table settings (id integer primary key check (id = 1), doc blob not null);

-- Beside the log, not in it and not derived from it; deleted with their owner.
create table meta (name text primary key, value text not null);
create table secrets (owner text not null, name text not null, sealed blob not null, primary key (owner, name));
create table credentials (key_id text primary key, digest blob not null unique);
create table sessions (
    digest blob primary key,
    actor_id text not null,
    actor_name text not null,
    role text not null,
    key_id text,                    -- the key that signed in, if any: its end ends the session
    created_at text not null,
    expires_at text not null
);
create table idempotency (
    principal text not null,
    path text not null,
    key text not null,
    body_sha256 blob not null,
    status integer not null,
    headers text not null,
    response blob not null,
    at integer not null,
    primary key (principal, path, key)
);
create index idempotency_by_age on idempotency (at);
-- An answer is kept for 24 hours; each new one makes room.
create trigger idempotency_inserted after insert on idempotency begin
    delete from idempotency where at < new.at - 86400000000;
end;
