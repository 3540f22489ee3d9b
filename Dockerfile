# The image named in the Snakefile: docker build --tag lmresp/lmresp:0.1.0 .
FROM python:3.11-slim
WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --constraint requirements.lock . && rm -rf /src
WORKDIR /
ENTRYPOINT ["lmresp"]
