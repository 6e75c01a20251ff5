# The client with the TensorFlow trainer: `docker run IMAGE run local sweep.yaml`.
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
RUN useradd --create-home --uid 1000 hpo
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY hpocli hpocli
COPY executors executors
COPY handler handler
RUN pip install ".[tensorflow,plots,samplers]"

USER hpo
WORKDIR /home/hpo
ENTRYPOINT ["hpo"]
CMD ["--help"]
