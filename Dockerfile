# Two images from one file: `service` (API and reconciler) and `worker`.
# Dependencies come before the code, so that a change of the code builds in a second.
FROM python:3.14-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONPATH=/app:/app/workers:/app/service HOME=/tmp
RUN groupadd --gid 10001 batchpool \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin batchpool
COPY requirements/image.lock /app/requirements/image.lock
# Wheels only: the image has no compiler, and is not to get one.
RUN pip install --no-cache-dir --root-user-action=ignore --disable-pip-version-check \
      --only-binary :all: --require-hashes -r /app/requirements/image.lock
WORKDIR /app

FROM base AS worker
# What tasks need besides: EXTRA_REQUIREMENTS="numpy pillow==11.3" docker compose up -d --build
ARG EXTRA_REQUIREMENTS=""
RUN test -z "$EXTRA_REQUIREMENTS" || pip install --no-cache-dir --root-user-action=ignore \
      --disable-pip-version-check --only-binary :all: $EXTRA_REQUIREMENTS
COPY docker/health.py health.py
COPY workers workers
# The file system is read-only at run time: byte code is made now or never.
RUN python -m compileall -q health.py workers
USER 10001:10001
CMD ["python", "-m", "batchpool.worker"]

FROM worker AS service
USER root
COPY service service
RUN python -m compileall -q service
USER 10001:10001
ENV BATCHPOOL_API_HOST=0.0.0.0
EXPOSE 8000
CMD ["python", "-m", "batchpool.api"]
