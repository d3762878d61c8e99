# The command line in an image: docker build -t pmd .
# Then: docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" pmd build pmd.toml

# The full image: pycld2 has no wheel for Linux on arm64, and is compiled there.
FROM python:3.11-bookworm AS build
RUN python -m venv /opt/pmd
COPY requirements.txt /source/
RUN /opt/pmd/bin/python -m pip install --no-cache-dir --no-compile --no-deps --require-hashes -r /source/requirements.txt
COPY pyproject.toml README.md LICENSE /source/
COPY manifests /source/manifests
COPY pipelines /source/pipelines
COPY pmd /source/pmd
RUN /opt/pmd/bin/python -m pip install --no-cache-dir --no-compile --no-deps --no-build-isolation /source
# Tests, headers and what builds packages are no use here. What is left is compiled: who runs it may not write there.
RUN cd /opt/pmd/lib/python3.11/site-packages \
    && find . -depth -type d -name tests -exec rm -rf {} + \
    && find . -type f -regex '.*\.\(pyx\|pxd\|c\|cpp\|h\|hpp\)' -delete \
    && find apache_beam -type f -name '*_test.py' -delete \
    && rm -rf apache_beam/examples pip setuptools \
    && /opt/pmd/bin/python -m compileall -q -j 0 /opt/pmd/lib

FROM python:3.11-slim-bookworm
COPY --from=build /opt/pmd /opt/pmd
RUN useradd --create-home pmd
USER pmd
WORKDIR /work
ENV PATH=/opt/pmd/bin:$PATH
ENTRYPOINT ["pmd"]
