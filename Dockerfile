# syntax=docker/dockerfile:1
# NociCast as a BIDS-App. Runs as any user, with a read-only root and without a network.
#
#   docker build -t nocicast .
#
# Build arguments:
#   ACCELERATOR  cpu (default) or cuda. PyTorch publishes its CPU wheels on an index of its own, which
#                --build-arg PIP_EXTRA_INDEX_URL=... names where pip is not set up with it.
#   TEMPLATES    TemplateFlow templates to carry besides the embedded MNI152NLin2009aSym; fetched where
#                the build reaches TemplateFlow's server, and their absence said where not.
#   MEDICALNET   addresses of MedicalNet's .pth files to carry, separated by blanks; default: none.
#   BASE, VERSION, REVISION, CREATED
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 python3.11 \
    && rm -rf /var/lib/apt/lists/*

FROM python AS builder
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3.11-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3.11 -m venv /opt/nocicast
ENV PATH=/opt/nocicast/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /build

FROM builder AS requirements
COPY setup.cfg ./
RUN python -c "from configparser import ConfigParser; \
c = ConfigParser(); c.read('setup.cfg'); print(c['options']['install_requires'])" > requirements.txt

# What is installed changes rarely, the source often: two stages, two layers.
FROM builder AS dependencies
ARG ACCELERATOR=cpu
ARG PIP_EXTRA_INDEX_URL
COPY constraints.txt ./
COPY --from=requirements /build/requirements.txt ./
# "===" is the very name of a version: CUDA's has none after it, and the CPU wheel counts as newer.
RUN torch=$(sed -n 's/^torch==//p' constraints.txt) \
    && if [ "$ACCELERATOR" = cpu ]; then torch="$torch+cpu"; fi \
    && pip install -c constraints.txt "torch===$torch" -r requirements.txt \
    && cd /opt/nocicast/lib/python3.11/site-packages \
    && rm -rf torch/test torch/bin/protoc* torch/bin/test_* \
    && if [ "$ACCELERATOR" = cpu ]; then rm -rf torch/include; fi \
    && find matplotlib numpy pandas prov scipy sklearn statsmodels sympy \
        -type d -name tests -prune -exec rm -rf {} +

FROM builder AS source
RUN pip install 'setuptools>=77' wheel
COPY LICENSE NOTICE README.md pyproject.toml setup.cfg ./
COPY bidsapp bidsapp
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .

FROM python AS app
ENV PATH=/opt/nocicast/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/.cache \
    XDG_CONFIG_HOME=/tmp/.config \
    MPLCONFIGDIR=/tmp/.config/matplotlib \
    TORCH_HOME=/tmp/.cache/torch \
    HF_HUB_OFFLINE=1 \
    DENO_DIR=/tmp/.cache/deno \
    DENO_NO_UPDATE_CHECK=1 \
    NO_ET=1 \
    NIPYPE_NO_ET=1 \
    TEMPLATEFLOW_HOME=/opt/templateflow \
    TEMPLATEFLOW_AUTOUPDATE=off \
    NOCICAST_WEIGHTS=/opt/weights
COPY --from=dependencies /opt/nocicast /opt/nocicast
ARG TEMPLATES=MNI152NLin2009cAsym
ARG MEDICALNET=
COPY --from=source /wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps --no-index --compile /tmp/wheel/*.whl \
    && rm -rf /tmp/wheel \
    && python -m bidsapp.carry templates "$TEMPLATES" \
    && python -m bidsapp.carry weights "$MEDICALNET" \
    && chmod -R a+rX /opt/templateflow /opt/weights \
    && python -m bidsapp.supply licences > /dev/null \
    && python -m bidsapp.supply sbom > /opt/nocicast/sbom.cdx.json

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
ENV NOCICAST_CONTAINER=nocicast:${VERSION} \
    NOCICAST_CONTAINER_TYPE=docker
LABEL org.opencontainers.image.title="NociCast" \
      org.opencontainers.image.description="A BIDS-App that forecasts the course of pain from MRI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"

# Smoke test: versions, every heavy import, and one synthetic head brought into standard space.
RUN test "$(nocicast --version)" = "nocicast ${VERSION}" \
    && nocicast --list-recipes \
    && python -m bidsapp.phantom /tmp/smoke/phantom --participants 2 \
    && nocicast /tmp/smoke/phantom /tmp/smoke/out participant --participant-label 01 --nprocs 1 \
    && rm -rf /tmp/* /tmp/.[!.]*

WORKDIR /tmp
ENTRYPOINT ["nocicast"]
CMD ["--help"]
