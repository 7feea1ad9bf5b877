-- What a search looks into for words that few rows have. It finds candidates, not rows: whoever asks looks at
-- their texts, and without this index, or when too many rows have a word, at all of them.
--
-- Texts that are long together are not in it: one of 2.5 MB would take seconds to be cut into trigrams. In their
-- place stands the same text for all of them, by which a search finds them to look at each. One index and not
-- two, because each that a row may belong to makes an insert dearer.
--
-- The list of what is still to be merged is kept short, because a search reads all of it.
--
-- The extension comes with Postgres, and whoever may create something in the database may create it; but a system
-- may have it in a package that is not installed, or an administrator may not want it. Then a search is slower.
-- Writes wait for the making of the index, so it begins soon or not at all: then the start fails, and the next one
-- tries again.
set local lock_timeout = '5s';
set local statement_timeout = 0;
do $$
begin
    create extension if not exists pg_trgm;
    create index music_words on music using gin (
        (case when octet_length(song) + octet_length(singer) <= 800
              then song || ' ' || singer else 'a long text' end) gin_trgm_ops
    ) with (gin_pending_list_limit = 2048);
exception when insufficient_privilege or undefined_file or undefined_object or feature_not_supported then
    raise warning 'no index for searches: %', sqlerrm;
end
$$;
