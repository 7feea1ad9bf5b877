-- The writes that were applied under a key, so that a repeat gets the answer again and changes nothing.
create table write_keys (
    -- Whose key it is: a user's id, or 0 for nobody. No reference: a key may outlive its user by a day.
    owner bigint not null,
    method text not null,
    path text not null,
    key text not null,
    -- SHA-256 of the body and the conditions, to tell a repeat from another request.
    digest bytea not null,
    status smallint not null,
    -- "json", not "jsonb": kept as it was written, and nothing here is ever searched. Null: no body.
    answer json,
    expires timestamptz not null,
    primary key (owner, method, path, key)
);

-- For purging: the keys that expired longest ago first.
create index write_keys_by_expiry on write_keys (expires);

-- Names a state of a row: who wrote it last, and when. A transaction's number alone would come again in a
-- restored database, and a time alone when two writes fall on one microsecond.
create function music_version(writer xid, written timestamptz) returns text
    language sql stable parallel safe
    return writer::text || '-' || (extract(epoch from written) * 1000000)::bigint::text;
