-- What lists are filtered by, in one narrow index: a filter that finds little walks it and reads no documents.
alter table tasks add column created_by text generated always as (json_extract(cast(doc as text), '$.createdBy.id'))
    virtual;
alter table tasks add column labels text generated always as (json_extract(cast(doc as text), '$.labels')) virtual;
-- Title, labels and the beginning of the content, as they are searched; `is_long` where there is more content than that.
alter table tasks add column words text generated always as (lower(
    coalesce(json_extract(cast(doc as text), '$.title'), '') || char(10)
    || coalesce(json_extract(cast(doc as text), '$.labels'), '') || char(10)
    || substr(json_extract(cast(doc as text), '$.content'), 1, 2000))) virtual;
alter table tasks add column is_long integer generated always as (
    length(json_extract(cast(doc as text), '$.content')) > 2000) virtual;
create index tasks_searched on tasks (archived, id, status, type, desktop_id, created_by, is_long, labels, words);
