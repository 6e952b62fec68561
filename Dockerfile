# syntax=docker/dockerfile:1
# plugway and what it needs to run, and nothing else: the binary, glibc, CA roots, a user.
#
#   docker build -t plugway .
#   docker run --read-only -p 8443:8443 -v ./config:/plugway/config:ro -v plugway-state:/plugway/state \
#     -v ./certs:/plugway/certs plugway
#
# One base, fixed by its digest. `deploy/image/pin` asks the registry for the one that the tag has now, and writes it here.
FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build

RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-pip ca-certificates \
 && pip install --no-cache-dir --break-system-packages ziglang==0.17.1 \
 && cargo install --locked cargo-zigbuild@0.24.1

WORKDIR /build
COPY . .
# Linked against glibc by the names of 2.28: the same binary runs here and on any Linux of the last five years, with the
# libc that is kept up to date there. Why not a static one: deploy/image/portable says.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    deploy/image/portable \
 && deploy/image/rootfs target/*-unknown-linux-gnu/release/plugway /root-of-image

FROM scratch
LABEL org.opencontainers.image.title="plugway" \
      org.opencontainers.image.description="A plugin gateway: turns any HTTP API into a guarded plugin for AI assistants" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.documentation="docs/containers.md"
# What changes with each build is given to it: --label org.opencontainers.image.version=… and .revision=…

COPY --from=build /root-of-image/ /
# Copied once more for their owner: a volume that is new takes it over.
COPY --from=build --chown=65532:65532 /root-of-image/plugway/state /plugway/state
COPY --from=build --chown=65532:65532 /root-of-image/plugway/certs /plugway/certs

USER 65532:65532
WORKDIR /plugway
VOLUME ["/plugway/state", "/plugway/certs"]
ENV PLUGWAY_CONFIG=/plugway/config/plugway.toml
EXPOSE 8080 8443
# SIGTERM does the same as SIGINT: it drains.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s CMD ["/bin/plugway", "health"]
ENTRYPOINT ["/bin/plugway"]
CMD ["serve"]
