# The same two images from binaries that were built outside, one target each. The context is a folder
# that holds the binaries and nothing else; deploy/prebuilt-images.sh makes one.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS coordinator
COPY strop-coordinator strop /usr/local/bin/
USER 10001:10001
EXPOSE 50051
STOPSIGNAL SIGTERM
ENTRYPOINT ["strop-coordinator"]
CMD ["serve"]

FROM ${BASE} AS worker
COPY strop-worker /usr/local/bin/
# A new volume takes the owner of the folder that it covers.
RUN install -d -o 10001 -g 10001 -m 700 /spool
USER 10001:10001
VOLUME /spool
STOPSIGNAL SIGTERM
ENTRYPOINT ["strop-worker"]
