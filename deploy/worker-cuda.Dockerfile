# A worker that trains on NVIDIA GPUs. Built from the root of the repository, on a machine that needs
# no GPU; running it needs one, NVIDIA's container toolkit, and a driver from 580 on.
ARG BUILDER=rust:1.95-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILDER} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv
WORKDIR /source
COPY . .
# The least compute capability that runs it: 80 for Ampere and everything later.
ARG CUDA_COMPUTE_CAP=80
RUN deploy/cuda-build.sh --toolkit /cuda --target /source/target --compute-cap ${CUDA_COMPUTE_CAP}
RUN install -d /libraries \
    && cd /cuda/venv/lib/python3*/site-packages/nvidia/cu13/lib \
    && cp --dereference libcublas.so.13 libcublasLt.so.13 libcudart.so.13 libcurand.so.10 /libraries/

FROM ${BASE}
COPY --from=build /libraries/ /usr/local/lib/
RUN ldconfig
COPY --from=build /source/target/release/strop-worker /usr/local/bin/
# A new volume takes the owner of the folder that it covers.
RUN install -d -o 10001 -g 10001 -m 700 /spool
# What the container toolkit reads; and where the driver keeps kernels that it translated.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility CUDA_CACHE_PATH=/tmp/cuda
USER 10001:10001
VOLUME /spool
STOPSIGNAL SIGTERM
ENTRYPOINT ["strop-worker"]
CMD ["--device", "cuda"]
