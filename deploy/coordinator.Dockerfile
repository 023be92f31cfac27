# The coordinator, and `strop` to speak to it from inside. Built from the root of the repository.
ARG BUILDER=rust:1.95-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILDER} AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked -p coordinator -p cli

FROM ${BASE}
COPY --from=build /source/target/release/strop-coordinator /source/target/release/strop /usr/local/bin/
USER 10001:10001
EXPOSE 50051
STOPSIGNAL SIGTERM
ENTRYPOINT ["strop-coordinator"]
CMD ["serve"]
