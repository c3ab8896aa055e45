# The image of a node. Two stages: the compiler and what only development needs stay in the first one. Node runs as PID 1
# (a shell or npm in between would swallow SIGTERM), as any user: nothing is written but to the data volume, so the root
# file system can be read-only and the user id arbitrary (OpenShift), with group 0.
FROM node:26-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=optional
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN node_modules/.bin/tsc -p tsconfig.build.json \
  && find dist -name '*.tsbuildinfo' -delete \
  && rm -rf dist/sim \
  && npm prune --ignore-scripts --omit=dev --omit=optional

FROM node:26-bookworm-slim
# Of the source: docker build --build-arg SOURCE_REVISION=$(git rev-parse --short HEAD)
ARG SOURCE_REVISION=unknown
LABEL org.opencontainers.image.title="dht" \
      org.opencontainers.image.description="A ring of equal nodes that stores files under their names" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision=$SOURCE_REVISION
# Sixteen threads for file operations: with the default of four, a few slow fsyncs hold up every other read of the node.
# Two arenas of glibc's allocator: with the default of eight for each core, the threads leave holes of tens of MiB.
ENV NODE_ENV=production \
    SOURCE_REVISION=$SOURCE_REVISION \
    UV_THREADPOOL_SIZE=16 \
    MALLOC_ARENA_MAX=2 \
    DHT_DATA_DIR=/var/lib/dht
WORKDIR /opt/dht
COPY package.json LICENSE ./
COPY bin bin
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
RUN mkdir -p /var/lib/dht && chown 10001:0 /var/lib/dht && chmod 0770 /var/lib/dht \
  && ln -s /opt/dht/bin/dht.js /usr/local/bin/dht && chmod a+rx bin/dht.js
USER 10001:0
# Peers, gateway, admin (health and metrics).
EXPOSE 7400 8080 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.DHT_ADMIN_PORT||9464)+'/livez').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
ENTRYPOINT ["node", "/opt/dht/dist/main.js"]
CMD ["node"]
