FROM python:3.12-slim

# `dns` and `cli` are folders of this project and libraries of others: the import path must not
# begin with the current directory
ENV PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1

WORKDIR /usr/src/lictor
COPY . .
RUN pip install --no-cache-dir -c requirements.lock . \
    && useradd --system --home-dir /data lictor \
    && install --directory --owner lictor --mode 0700 /data

USER lictor
WORKDIR /data
VOLUME /data
EXPOSE 8500 8600/tcp 8600/udp
ENTRYPOINT ["lictor"]
CMD ["agent", "-server", "-bootstrap-expect=1", "-data-dir=/data", "-bind=127.0.0.1", "-client=0.0.0.0"]
