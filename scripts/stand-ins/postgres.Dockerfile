# Stands in for the official Postgres image where no registry can be reached: Debian's own server behind
# an entrypoint that understands the same settings.
ARG BASE
FROM ${BASE}
# The package would make a cluster of its own, which nobody needs.
RUN apt-get update \
 && mkdir -p /etc/postgresql-common \
 && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /usr/lib/postgresql/* /usr/lib/postgresql/current \
 && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data /run/postgresql
ENV PATH=/usr/lib/postgresql/current/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
VOLUME /var/lib/postgresql/data
COPY postgres-entrypoint /usr/local/bin/
USER postgres
# SIGINT is Postgres's fast shutdown; SIGTERM would wait for every client to leave.
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["postgres-entrypoint"]
CMD ["postgres"]
