-- What lists are ordered and narrowed by. Each index ends in the id, which makes an order of equal rows firm and
-- lets a page begin where the last one ended; read backwards it serves the descending order.
--
-- A text counts with its first 200 characters: a song may be 2.5 MB long, and an entry of an index 2.7 kB. The
-- collation is "C", so that an upgrade of the system's locales does not break an index.
--
-- There is none for ?search=. One on trigrams would make the longest texts miss the limit of a statement when
-- they are written; a search walks the table in short statements instead.

-- ?ordering=song
create index music_song on music ((left(song, 200)) collate "C", id);
-- ?singer=, ordered by id, and ?ordering=singer
create index music_singer on music ((left(singer, 200)) collate "C", id);
-- ?ordering=created: what is new
create index music_created on music (created, id);
-- ?ordering=last_modify_date: what has changed
create index music_last_modify_date on music (last_modify_date, id);
