# docker build -t cdc .
# docker run -p 127.0.0.1:8288:8288 -e DATABASE_URL=postgresql://... -v ./functions:/functions \
#     -e CDC_HOST=0.0.0.0 -e CDC_DASHBOARD_TOKEN=... -e CDC_EVENT_KEY=... cdc

FROM python:3.13-slim AS wheel
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY cdc cdc
COPY functions functions
COPY sql sql
RUN pip wheel --no-deps --wheel-dir /dist .

FROM python:3.13-slim AS venv
COPY --from=wheel /dist /dist
RUN python -m venv /opt/cdc
RUN /opt/cdc/bin/pip install --no-cache-dir "$(ls /dist/cdc-*.whl)[local,anthropic,gemini,otel]"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin cdc && mkdir /functions
COPY --from=venv /opt/cdc /opt/cdc
ENV PATH=/opt/cdc/bin:$PATH PYTHONUNBUFFERED=1 CDC_FUNCTIONS=/functions
# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
USER 10001
WORKDIR /functions
EXPOSE 8288 8289
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["cdc", "health"]
ENTRYPOINT ["cdc"]
CMD ["run"]
