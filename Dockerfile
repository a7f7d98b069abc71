# Pharos in a container: docs/packaging.md says how to run it.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN node bin/build.ts
RUN npm prune --omit=dev

FROM node:24-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends libcap2-bin \
  && setcap cap_net_bind_service=+ep /usr/local/bin/node \
  && apt-get purge -y --auto-remove libcap2-bin \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --system --user-group --home-dir /var/lib/pharos --create-home --shell /usr/sbin/nologin pharos \
  && install -d /etc/pharos
WORKDIR /opt/pharos
COPY --from=build /build/package.json /build/LICENSE /build/CHANGELOG.md ./
COPY --from=build /build/bin/pharos /build/bin/lib.sh ./bin/
COPY --from=build /build/bin/help ./bin/help
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY --from=build /build/examples ./examples
RUN ln -s /opt/pharos/bin/pharos /usr/local/bin/pharos

USER pharos
WORKDIR /etc/pharos
VOLUME /var/lib/pharos
EXPOSE 53/udp 53/tcp 853/tcp 8053/tcp
ENV NODE_ENV=production
# Needs status.listen on port 8053. Ready, too, is what a load balancer in front would ask for.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8053/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["pharos"]
CMD ["serve", "/etc/pharos/pharos.yaml"]
