-- Output that is being removed: the payloads of these tasks' bulk events up to a seq are still to be cleared. The event
-- that says so is in the log already; a row stays until the last payload is gone, also over a restart.
create table removals (task_id text primary key, until integer not null);
