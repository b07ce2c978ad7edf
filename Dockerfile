# One image for the jobs API and the worker; its first argument chooses. docs/workers.md says more.
#
#   docker build --build-arg COMMIT="$(git rev-parse HEAD)" --tag revos-jobs .
#   docker run --read-only --tmpfs /tmp --env-file production.env --publish 10000:10000 revos-jobs
#   docker run --read-only --tmpfs /tmp --env-file production.env --no-healthcheck revos-jobs dist/worker.js

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
# The packages alone first: they change less often than the sources.
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
COPY apps/jobs-api/package.json apps/jobs-api/
COPY packages/core/package.json packages/core/
COPY packages/otel/package.json packages/otel/
COPY packages/sentry/package.json packages/sentry/
RUN npx --yes pnpm@12.21.0 install --frozen-lockfile --prod --filter revos-jobs --filter @revos/jobs-api...
COPY . .
RUN node scripts/build.ts jobs-api

FROM node:24.21.0-bookworm-slim
ARG COMMIT=""
LABEL org.opencontainers.image.title="RevOS jobs" \
      org.opencontainers.image.description="The jobs API and the worker of RevOS" \
      org.opencontainers.image.base.name="docker.io/library/node:24.21.0-bookworm-slim" \
      org.opencontainers.image.revision="${COMMIT}"
# The commit stands under the name by which the app reads it.
ENV NODE_ENV=production RENDER_GIT_COMMIT="${COMMIT}"
WORKDIR /app
COPY --from=build /build/apps/jobs-api/package.json ./
COPY --from=build /build/apps/jobs-api/dist dist/
USER node
EXPOSE 10000
# Of the jobs API, and of a worker with PORT.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 10000}/health`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node"]
CMD ["dist/server.js"]
