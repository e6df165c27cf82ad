# The worker and the CLI: `docker run keyturn` works on tasks, `docker run keyturn status` and the like are the CLI.
# Debian rather than Alpine, because Temporal's native part is built against glibc.
FROM node:20-slim AS build
WORKDIR /keyturn
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:20-slim
ENV NODE_ENV=production
WORKDIR /keyturn
COPY --from=build /keyturn/node_modules ./node_modules
COPY --from=build /keyturn/dist ./dist
COPY package.json keyturn.yaml keyturn.schema.json .env.example ./
# Nothing in the image belongs to the user that runs it, so a worker cannot change its own code.
USER node
# Kubernetes asks /healthz and /readyz itself, at KEYTURN_HEALTH_ADDRESS=0.0.0.0:9465.
HEALTHCHECK --interval=10s --start-period=60s CMD ["node", "-e", "fetch('http://127.0.0.1:9465/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/src/client/cli.js"]
CMD ["worker"]
