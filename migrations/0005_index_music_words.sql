-- What a search looks into for words that few rows have. It finds candidates, not rows: whoever asks looks at
-- their texts, and without this index, or when too many rows have a word, at all of them.
--
-- Only texts that are short together are in it: one of 2.5 MB would take seconds to be cut into trigrams. The few
-- long ones have an index of their own, by which a search goes through all of them.
--
-- The list of what is to be merged is kept short, because a search reads all of it.
--
-- The extension comes with Postgres, and whoever may create something in the database may create it; but a system
-- may have it in a package that is not installed, or an administrator may not want it. Then a search is slower.
do $$
begin
    create extension if not exists pg_trgm;
    create index music_words on music using gin ((song || ' ' || singer) gin_trgm_ops)
        with (gin_pending_list_limit = 1024)
        where octet_length(song) + octet_length(singer) <= 800;
exception when others then
    raise warning 'no index for searches: %', sqlerrm;
end
$$;
create index music_long on music (id) where octet_length(song) + octet_length(singer) > 800;
