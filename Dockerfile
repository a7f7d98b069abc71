# Pharos in a container: docs/docker.md says how to run it.

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN node bin/build.ts
RUN node bin/lay-out.ts /opt/pharos

FROM node:24-bookworm-slim
# A fixed number: Kubernetes sees that it is not root, and volumes keep their owner.
RUN groupadd --gid 10053 pharos \
  && useradd --uid 10053 --gid 10053 --home-dir /var/lib/pharos --no-create-home --shell /usr/sbin/nologin pharos \
  && install -d -o 10053 -g 10053 /var/lib/pharos \
  && install -d /etc/pharos
COPY --from=build /opt/pharos /opt/pharos
RUN ln -s /opt/pharos/bin/pharos /usr/local/bin/pharos

USER 10053:10053
WORKDIR /etc/pharos
VOLUME /var/lib/pharos
EXPOSE 53/udp 53/tcp 853/tcp 8053/tcp
# HOME: compiled JavaScript is kept in the volume.
ENV NODE_ENV=production HOME=/var/lib/pharos
# Needs status.listen on port 8053. Ready, too, is what a load balancer in front would ask for.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8053/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["pharos"]
CMD ["serve", "/etc/pharos/pharos.yaml"]
