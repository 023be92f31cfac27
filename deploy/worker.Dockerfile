# A worker that trains on the CPU. Built from the root of the repository.
ARG BUILDER=rust:1.95-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked -p worker

FROM ${BASE}
COPY --from=build /source/target/release/strop-worker /usr/local/bin/
# A new volume takes the owner of the folder that it covers.
RUN install -d -o 10001 -g 10001 -m 700 /spool
USER 10001:10001
VOLUME /spool
STOPSIGNAL SIGTERM
ENTRYPOINT ["strop-worker"]
