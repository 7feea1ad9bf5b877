-- The queries of the program that knew only the first migration. They must go on running: it may still serve
-- while its successor brings the tables up to date. Replaced at each release by those of that release.

update music
           set song = coalesce($2, song), singer = coalesce($3, singer), last_modify_date = now()
           where id = $1
           returning id, song, singer, last_modify_date, created,
                     floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!";

select id, song, singer, last_modify_date, created,
                  floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!"
           from music where id = $1;

insert into music (song, singer) values ($1, $2)
           returning id, song, singer, last_modify_date, created,
                     floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!";

select id as "id!", song as "song!", singer as "singer!",
                  last_modify_date as "last_modify_date!", created as "created!",
                  floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!"
           from (
               select *, sum(octet_length(song) + octet_length(singer)) over (order by id)
                         - octet_length(song) - octet_length(singer) as bytes_before
               from (select * from music where id > $1 order by id limit $2) as page
           ) as sized
           where bytes_before <= $3
           order by id;

select exists (select from music where id = $1) as "exists!";

select singer, song from music where id = $1;

delete from music where id = $1;

select singer collate "C" as "singer!" from music group by 1 order by 1;
