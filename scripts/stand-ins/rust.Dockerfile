# Stands in for the official Rust image where no registry can be reached: Debian's compilers and the
# toolchain of the machine that builds it. scripts/base-images streams the context.
ARG BASE
FROM ${BASE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends cmake g++ make \
 && rm -rf /var/lib/apt/lists/*
COPY toolchain /usr/local
