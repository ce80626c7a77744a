# A static binary, alone in an image that has no shell and runs as nobody in particular.
# docs/deploy/docker.md tells how it is used.

FROM rust:1.95-alpine AS build
# The C code of SQLite, ring and mimalloc. Alpine keeps one version of a package, so there is none to pin.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist --package cresset \
    && strip -o /cresset target/dist/cresset \
    && mkdir /data

# Certificates of authorities, and a user; nothing that could be run.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /cresset /usr/bin/cresset
COPY --from=build --chown=65532:65532 /data /var/lib/cresset
COPY LICENSE NOTICE /usr/share/doc/cresset/
# The default of the store's directory is relative.
WORKDIR /var/lib/cresset
USER 65532:65532
VOLUME /var/lib/cresset
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/cresset"]
CMD ["serve"]
