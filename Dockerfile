# The gateway alone, for a server. The control panel listens on the container's own loopback only.
# `docker stop --time 20`: running answers get ten seconds to finish.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --constraint constraints.txt ".[postgres,socks]" \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin nexus \
    && install -d -m 0700 -o nexus -g nexus /data

USER 10001
WORKDIR /home/nexus
ENV CODEX_NEXUS_HOME=/data
VOLUME /data
EXPOSE 5800

HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5800/healthz', timeout=4)"]

CMD ["codex-nexus", "serve", "--host", "0.0.0.0", "--port", "5800", "--no-inject"]
