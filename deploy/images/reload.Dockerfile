# For development: a service's image whose program restarts when a source changes. compose.dev.yaml uses it.
ARG IMAGE
FROM ${IMAGE}
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
COPY requirements/reload.txt /
USER root
RUN pip --python /opt/taskcore/bin/python install --quiet --no-cache-dir --no-deps --require-hashes -r /reload.txt
USER 10001:10001
ENTRYPOINT ["python", "-m", "taskcore.init", "watchfiles", "--filter", "python", "--sigint-timeout", "60"]
