-- What is known of hosts for the whole fleet: authorities that are trusted, and keys that are revoked.
create table known_hosts (id text primary key, doc blob not null);
