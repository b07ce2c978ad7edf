/** Webhooks: what a client may create, and which of them want to hear of something. */
import { Type } from 'typebox';
import { ApiError } from './errors.ts';
import { checkShape, DeclarationError } from './shape.ts';
import type { Notification } from './wire/webhook-event.ts';
import type { World } from './world/world.ts';

const WEBHOOKS_MAX = 100;

const WebhookBody = Type.Object({
  request_url: Type.String({ maxLength: 2_048, pattern: '^https?://' }),
  source: Type.Union(
    ['messaging', 'users', 'account_status', 'email', 'email_tracking', 'calendar_event'].map((name) =>
      Type.Literal(name),
    ),
  ),
  name: Type.Optional(Type.String({ maxLength: 200 })),
  format: Type.Optional(Type.Union([Type.Literal('json'), Type.Literal('form')])),
  account_ids: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 1_000 })),
  enabled: Type.Optional(Type.Boolean()),
  headers: Type.Optional(
    Type.Array(
      Type.Object({
        key: Type.String({ pattern: '^[A-Za-z0-9-]{1,100}$' }),
        value: Type.String({ maxLength: 2_000, pattern: '^[\\x20-\\x7e]*$' }),
      }),
      { maxItems: 50 },
    ),
  ),
  events: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 50 })),
  data: Type.Optional(
    Type.Array(Type.Object({ name: Type.String({ maxLength: 100 }), key: Type.String({ maxLength: 100 }) }), {
      maxItems: 100,
    }),
  ),
});

export interface Webhook {
  readonly id: string;
  readonly requestUrl: string;
  readonly source: string;
  readonly name: string | undefined;
  /** Null: every account, also those to come. */
  readonly accountIds: readonly string[] | null;
  readonly isEnabled: boolean;
  readonly headers: readonly { readonly key: string; readonly value: string }[];
  readonly events: readonly string[];
  /** Selects and renames keys of the body; empty leaves it whole. */
  readonly data: readonly { readonly name: string; readonly key: string }[];
}

/** What a webhook hears when it does not say. Statuses exclude ok, connecting and stopped. */
const DEFAULT_EVENTS: Readonly<Record<string, readonly string[]>> = {
  messaging: ['message_received'],
  account_status: [
    'error',
    'credentials',
    'permissions',
    'creation_success',
    'creation_fail',
    'reconnected',
    'sync_success',
    'deleted',
  ],
};

export interface WebhookRegistry {
  /** @throws {ApiError} missing_parameters, invalid_parameters, feature_not_implemented */
  create(body: unknown): Webhook;
  /** @throws {ApiError} resource_not_found */
  remove(id: string): void;
  list(): readonly Webhook[];
  has(id: string): boolean;
  /** Those that want to hear this. */
  listeners(notification: Notification): readonly Webhook[];
  clear(): void;
}

/** @param nextId makes an id for a new webhook */
export function createWebhookRegistry(nextId: () => string): WebhookRegistry {
  const webhooks = new Map<string, Webhook>();
  return {
    create(body) {
      const asked = checkBody(body);
      if (asked.format === 'form') throw new ApiError('feature_not_implemented', 'format must be json.');
      if (webhooks.size >= WEBHOOKS_MAX) {
        throw new ApiError('invalid_parameters', `At most ${WEBHOOKS_MAX} webhooks.`);
      }
      const webhook: Webhook = {
        id: nextId(),
        requestUrl: asked.request_url,
        source: asked.source,
        name: asked.name,
        accountIds: asked.account_ids ?? null,
        isEnabled: asked.enabled ?? true,
        headers: asked.headers ?? [],
        events: asked.events ?? DEFAULT_EVENTS[asked.source] ?? [],
        data: asked.data ?? [],
      };
      webhooks.set(webhook.id, webhook);
      return webhook;
    },
    remove(id) {
      if (!webhooks.delete(id)) throw new ApiError('resource_not_found', 'Webhook not found.');
    },
    list: () => [...webhooks.values()].reverse(),
    has: (id) => webhooks.has(id),
    listeners: ({ source, event, accountId }) =>
      [...webhooks.values()].filter(
        (webhook) =>
          webhook.isEnabled &&
          webhook.source === source &&
          webhook.events.includes(event) &&
          (webhook.accountIds?.includes(accountId) ?? true),
      ),
    clear: () => webhooks.clear(),
  };
}

function checkBody(body: unknown) {
  const given = (body ?? {}) as Record<string, unknown>;
  for (const field of ['request_url', 'source']) {
    if (given[field] === undefined) throw new ApiError('missing_parameters', `${field} is required.`);
  }
  try {
    return checkShape(WebhookBody, body);
  } catch (error) {
    if (error instanceof DeclarationError) throw new ApiError('invalid_parameters', error.message);
    throw error;
  }
}

/** An item of the list, with every account it covers now. */
export function webhookWire(webhook: Webhook, world: World): Record<string, unknown> {
  const covered = world.accounts().filter(({ id }) => webhook.accountIds?.includes(id) ?? true);
  return {
    object: 'Webhook',
    type: 'AUTO',
    id: webhook.id,
    account_ids: covered.map(({ id, name }) => ({ id, name, type: 'LINKEDIN' })),
    enabled: webhook.isEnabled,
    ...(webhook.name === undefined ? {} : { name: webhook.name }),
    source: webhook.source,
    request_url: webhook.requestUrl,
    format: 'json',
    headers: webhook.headers,
    data: webhook.data,
    events: webhook.events,
  };
}
