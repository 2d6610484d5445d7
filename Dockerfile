# The page in a container, for CPUs; docs/sharing.md tells how to run it. --build-arg EXTRA=cuda is for NVIDIA's GPUs.
FROM python:3.12-slim

ARG EXTRA=""
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

# What the project needs is a layer of its own, which a change of its code leaves as it is.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir lpips_jax data_pipeline \
  && pip install --editable ".[web${EXTRA:+,$EXTRA}]"

COPY lpips_jax lpips_jax
COPY data_pipeline data_pipeline
COPY app.py infer.py ./
RUN python -m compileall -q lpips_jax data_pipeline

# Everything that is written goes to /tmp, so the rest may be read-only, and any user will do.
ENV HOME=/tmp XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/matplotlib HF_HOME=/tmp/huggingface
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER 1000:1000

ENV CHECKPOINT=/checkpoint
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860', timeout=5)"]
CMD ["sh", "-c", "exec python app.py --host=0.0.0.0 --port=7860 --checkpoint=\"$CHECKPOINT\""]
