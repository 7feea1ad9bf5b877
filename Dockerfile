# One build, two final images: `docker build --target api .` and `docker build --target proxy .`
#
# The base images can be replaced (docs/compose.md); scripts/base-images does so where no registry can be
# reached. Only instructions that the legacy builder knows, too.
ARG RUST_IMAGE=rust:1.95.0-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

# What both crates stand on. The sources are empty here, so this is built again only when a manifest or the
# lock file changes. Pingora needs cmake and a C compiler; Debian's slim images lack them.
FROM ${RUST_IMAGE} AS dependencies
RUN command -v cmake c++ make >/dev/null || { \
      apt-get update \
   && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends cmake g++ make \
   && rm -rf /var/lib/apt/lists/*; }
# As a variable of the environment too, because an argument ends with its stage.
ARG PROFILE=release
ENV PROFILE=${PROFILE} SQLX_OFFLINE=true
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY api/Cargo.toml api/
COPY proxy/Cargo.toml proxy/
COPY stack/Cargo.toml stack/
RUN mkdir -p api/src proxy/src stack/src stack/tests \
 && for file in api/src proxy/src stack/src; do printf '//! Empty.\nfn main() {}\n' >$file/main.rs; done \
 && touch stack/tests/e2e.rs stack/tests/browser.rs \
 && cargo build --locked --profile "$PROFILE" -p api -p proxy

# Each crate is compiled in a stage of its own, beside the empty other one: a change in one leaves the other
# as it was. Both stages name both packages, because what Cargo has built above fits only the same set.
FROM dependencies AS build-api
COPY migrations migrations
COPY .sqlx .sqlx
COPY api api
RUN touch api/src/*.rs \
 && cargo build --locked --profile "$PROFILE" -p api -p proxy \
 && install -D target/*/api /out/api

FROM dependencies AS build-proxy
COPY proxy proxy
RUN touch proxy/src/*.rs \
 && cargo build --locked --profile "$PROFILE" -p api -p proxy \
 && install -D target/*/proxy /out/proxy

# A shell stays in the image: `docker-compose exec api bash` is part of the tutorial.
FROM ${DEBIAN_IMAGE} AS runtime
RUN groupadd --gid 10001 music \
 && useradd --uid 10001 --gid music --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin music
USER music
STOPSIGNAL SIGTERM

FROM runtime AS api
COPY --from=build-api /out/api /usr/local/bin/api
EXPOSE 8000
ENTRYPOINT ["api"]
CMD ["serve"]

FROM runtime AS proxy
COPY --from=build-proxy /out/proxy /usr/local/bin/proxy
COPY proxy/conf /etc/proxy
COPY static /srv/static
# What is freed goes back to the system after so many milliseconds: the pieces of a long answer would else add
# up to 40 MiB.
ENV MIMALLOC_PURGE_DELAY=300
EXPOSE 8080
ENTRYPOINT ["proxy"]
CMD ["serve"]
