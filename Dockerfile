# Two stages: the first makes the environment, the second runs it as uid 10001 on a read-only root.
# tests/container/prove.py runs these steps in a plain Debian folder where no container engine is at hand.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/build
RUN python3 -m venv --copies /opt/meterbridge
COPY requirements-build.lock requirements.lock ./
RUN /opt/build/bin/python -m pip install --quiet --no-cache-dir --require-hashes -r requirements-build.lock
RUN /opt/build/bin/python -m pip --python /opt/meterbridge/bin/python install --quiet --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY . ./
RUN /opt/build/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /dist .
RUN /opt/build/bin/python -m pip --python /opt/meterbridge/bin/python install --quiet --no-cache-dir --no-index --no-deps /dist/*.whl
# namespace 0 of OPC UA, so that no start has to build it
RUN /opt/meterbridge/bin/python3 -m bridge.projections.opcua.standard
# nothing installs anything in the running container
RUN /opt/build/bin/python -m pip --python /opt/meterbridge/bin/python uninstall --quiet --yes pip setuptools

FROM ${BASE}
COPY --from=build /opt/meterbridge /opt/meterbridge
# The one capability, on the environment's own copy of the interpreter: ports 102, 161, 443 and 502 without root.
RUN apt-get -qq update && apt-get -qq install -y --no-install-recommends libcap2-bin >/dev/null && setcap cap_net_bind_service=+ep "$(readlink -f /opt/meterbridge/bin/python3)" && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --groups dialout --no-create-home --home-dir /var/lib/meterbridge --shell /usr/sbin/nologin meterbridge && install -d -o meterbridge -g meterbridge -m 0750 /var/lib/meterbridge
ENV PATH=/opt/meterbridge/bin:/usr/bin:/bin
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
WORKDIR /var/lib/meterbridge
USER 10001:10001
VOLUME ["/var/lib/meterbridge"]
STOPSIGNAL SIGTERM
# asks the running bridge whether every enabled server answers and its values are fresh
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/opt/meterbridge/bin/meterbridge", "health", "/etc/meterbridge/site.yaml"]
ENTRYPOINT ["/opt/meterbridge/bin/meterbridge"]
CMD ["run", "/etc/meterbridge/site.yaml"]
