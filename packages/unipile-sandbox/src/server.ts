/**
 * The sandbox's server: Unipile's v1 API under `/api/v1`, the control API under `/_control`.
 */
import type { AddressInfo } from 'node:net';
import multipart from '@fastify/multipart';
import { TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyRequest,
} from 'fastify';
import { answer } from './answering.ts';
import { ApiError, type ErrorBody } from './errors.ts';
import { FORM_LIMITS } from './form.ts';
import { createRequestLog, type RequestEntry, type RequestLog } from './request-log.ts';
import { accountRoutes } from './routes/accounts.ts';
import { controlRoutes } from './routes/control.ts';
import type { Gateway } from './routes/gateway.ts';
import { messagingRoutes } from './routes/messaging.ts';
import { postRoutes } from './routes/posts.ts';
import { userRoutes } from './routes/users.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { DeclarationError, type Problem } from './shape.ts';
import { createWebhookDelivery, type WebhookOptions } from './webhook-delivery.ts';
import { createWebhookRegistry } from './webhook-registry.ts';
import { createWorld, type World, type WorldOptions } from './world/world.ts';

export interface SandboxOptions extends WorldOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. Elsewhere, `/_control` still answers only this machine. */
  readonly host?: string;
  /** What `X-API-KEY` must be. Default `sandbox.key`. */
  readonly apiKey?: string;
  /** A world made before; the options of a world are then not looked at. */
  readonly world?: World;
  readonly webhooks?: WebhookOptions;
  /** Entries the log of requests keeps. Default 50,000. */
  readonly requestsMax?: number;
}

export interface Sandbox {
  /** `http://127.0.0.1:PORT`, without the base path. */
  readonly url: string;
  readonly port: number;
  readonly apiKey: string;
  readonly world: World;
  /** Stops at once: open connections are cut, waits and retries dropped. */
  close(): Promise<void>;
}

const BODY_BYTES_MAX = 5 * 1024 * 1024;

export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { app, world, apiKey, stop } = await buildServer(options);
  await app.listen({ port: options.port ?? 0, host: options.host ?? '127.0.0.1' });
  const { address, port, family } = app.server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  return { url, port, apiKey, world, close: stop };
}

export interface Server {
  readonly app: FastifyInstance;
  readonly world: World;
  readonly apiKey: string;
  readonly stop: () => Promise<void>;
}

/** Everything but listening. */
export async function buildServer(options: SandboxOptions = {}): Promise<Server> {
  const world = options.world ?? createWorld(options);
  const apiKey = options.apiKey ?? 'sandbox.key';
  const requests = createRequestLog(options.requestsMax ?? 50_000);
  const webhooks = createWebhookRegistry(() => world.nextId('webhook'));
  const delivery = createWebhookDelivery(world, webhooks, options.webhooks);
  const closing = new AbortController();
  const entries = new WeakMap<FastifyRequest, RequestEntry>();
  const gateway: Gateway = {
    world,
    webhooks,
    async answer(request, reply, exchange) {
      const entry = entries.get(request);
      if (entry !== undefined) entry.account_id = exchange.accountId;
      await answer(reply, exchange, closing.signal);
      return reply;
    },
  };
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 4_000 },
  });
  app.removeContentTypeParser('text/plain');
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const body = bodyOfError(error);
    return reply.code(body.status).send(body);
  });
  app.setNotFoundHandler((_request, reply) => notFound(reply));
  await app.register(multipart, { limits: FORM_LIMITS });
  const api: FastifyPluginAsync = async (scope) => {
    logRequests(scope, requests, entries, world);
    requireKey(scope, apiKey);
    scope.setNotFoundHandler((_request, reply) => notFound(reply));
    for (const routes of [accountRoutes, messagingRoutes, postRoutes, userRoutes, webhookRoutes]) {
      await scope.register(routes, gateway);
    }
  };
  await app.register(api, { prefix: '/api/v1' });
  await app.register(controlRoutes, { prefix: '/_control', world, webhooks, delivery, requests });
  const stop = async (): Promise<void> => {
    closing.abort();
    delivery.close();
    await app.close();
  };
  return { app, world, apiKey, stop };
}

function logRequests(
  api: FastifyInstance,
  requests: RequestLog,
  entries: WeakMap<FastifyRequest, RequestEntry>,
  world: World,
): void {
  api.addHook('onRequest', async (request, reply) => {
    const { method, url } = request;
    const { entry, end } = requests.begin({ method, path: url, at: world.now() });
    entries.set(request, entry);
    const { raw } = reply;
    raw.once('finish', () => end(raw.statusCode));
    raw.once('close', () => end(raw.writableFinished ? raw.statusCode : 'reset'));
  });
}

function requireKey(api: FastifyInstance, apiKey: string): void {
  api.addHook('onRequest', async (request) => {
    if (request.headers['x-api-key'] !== apiKey) throw new ApiError('missing_credentials');
  });
}

function notFound(reply: { code(status: number): { send(body: ErrorBody): unknown } }): unknown {
  const { body } = new ApiError('resource_not_found', 'There is no such route.');
  return reply.code(body.status).send(body);
}

/** Every error leaves in the one body shape; what is wrong with a control body is listed beside it. */
function bodyOfError(error: FastifyError): ErrorBody & { problems?: readonly Problem[] } {
  if (error instanceof ApiError) return error.body;
  if (error instanceof DeclarationError) {
    return { ...new ApiError('invalid_parameters', error.message).body, problems: error.problems };
  }
  const [invalid] = error.validation ?? [];
  if (invalid !== undefined) {
    const field = invalid.instancePath.replace(/^\//, '').replaceAll('/', '.');
    return new ApiError('invalid_parameters', `${field} ${invalid.message ?? 'is invalid'}`.trim()).body;
  }
  switch (error.statusCode) {
    case 400:
      return new ApiError('malformed_request').body;
    case 413:
      return new ApiError('content_too_large').body;
    case 415:
      return new ApiError('unsupported_media_type').body;
    default:
      return new ApiError('unexpected_error', `Something went wrong. ${error.message}`).body;
  }
}
