/**
 * Tells webhooks what happened: at least once, and again on anything but a 200 in time.
 *
 * The queue, the number of deliveries under way and the record of attempts are bounded.
 */
import type { Webhook, WebhookRegistry } from './webhook-registry.ts';
import type { Notification } from './wire/webhook-event.ts';
import type { World } from './world/world.ts';

export interface WebhookOptions {
  /** Waits in ms before each retry; as many retries as entries. Default five, growing from 5 s to an hour. */
  readonly retryDelaysMs?: readonly number[];
  /** How long a receiver may take to answer 200, in ms. Default 30,000. */
  readonly timeoutMs?: number;
  /**
   * Deliveries waiting, those due for a retry included; beyond it new ones are dropped and counted.
   * Default 10,000.
   */
  readonly queueMax?: number;
  /** Deliveries under way at once. Default 16. */
  readonly concurrencyMax?: number;
}

export interface DeliveryAttempt {
  readonly webhook_id: string;
  readonly event: string;
  readonly account_id: string;
  /** 1 is the first try. */
  readonly attempt: number;
  /** The receiver's status, or why there was none. */
  readonly result: number | 'timeout' | 'unreachable';
  readonly at: string;
}

export interface WebhookDelivery {
  /** The last 1,000 attempts, oldest first. */
  attempts(): readonly DeliveryAttempt[];
  /** Deliveries waiting or under way. */
  pendingCount(): number;
  /** Deliveries lost to a full queue, or given up after the last retry. */
  lostCount(): number;
  /** Forgets what is waiting. */
  clear(): void;
  /** Stops for good; deliveries under way are cut. */
  close(): void;
}

interface Delivery {
  readonly webhook: Webhook;
  readonly notification: Notification;
  readonly body: Uint8Array<ArrayBuffer>;
  attempt: number;
}

const RETRY_DELAYS_MS = [5_000, 30_000, 120_000, 600_000, 3_600_000];
const ATTEMPTS_KEPT_MAX = 1_000;
/** The longest a timer can wait; it is set again after that. */
const TIMER_MS_MAX = 2_147_483_647;

export function createWebhookDelivery(
  world: World,
  registry: WebhookRegistry,
  options: WebhookOptions = {},
): WebhookDelivery {
  const outbox = createOutbox(world, registry, options);
  let turn: NodeJS.Immediate | null = null;
  let alarm: NodeJS.Timeout | null = null;

  const collect = (): void => {
    turn = null;
    for (const notification of world.takeDueNotifications()) {
      for (const webhook of registry.listeners(notification)) {
        outbox.add({ webhook, notification, body: bodyFor(webhook, notification), attempt: 0 });
      }
    }
    const nextAt = world.nextNotificationAt();
    if (alarm !== null) clearTimeout(alarm);
    alarm = null;
    if (nextAt === null) return;
    const delayMs = Math.max(1, nextAt.getTime() - world.now().getTime());
    alarm = setTimeout(collect, Math.min(delayMs, TIMER_MS_MAX));
  };

  const unsubscribe = world.onNotifications(() => {
    turn ??= setImmediate(collect);
  });

  return {
    attempts: outbox.attempts,
    pendingCount: outbox.pendingCount,
    lostCount: outbox.lostCount,
    clear: outbox.clear,
    close() {
      unsubscribe();
      if (turn !== null) clearImmediate(turn);
      if (alarm !== null) clearTimeout(alarm);
      outbox.close();
    },
  };
}

interface Outbox extends WebhookDelivery {
  add(delivery: Delivery): void;
}

/** Deliveries waiting, under way and due again. */
function createOutbox(world: World, registry: WebhookRegistry, options: WebhookOptions): Outbox {
  const {
    retryDelaysMs = RETRY_DELAYS_MS,
    timeoutMs = 30_000,
    queueMax = 10_000,
    concurrencyMax = 16,
  } = options;
  const closing = new AbortController();
  const attempts: DeliveryAttempt[] = [];
  const retries = new Set<NodeJS.Timeout>();
  let queue: Delivery[] = [];
  let activeCount = 0;
  let lostCount = 0;

  const retryLater = (delivery: Delivery): void => {
    const delayMs = retryDelaysMs[delivery.attempt - 1];
    if (delayMs === undefined) {
      lostCount += 1;
      return;
    }
    const timer = setTimeout(() => {
      retries.delete(timer);
      if (registry.has(delivery.webhook.id)) queue.push(delivery);
      drain();
    }, delayMs);
    retries.add(timer);
  };

  const deliver = async (delivery: Delivery): Promise<void> => {
    activeCount += 1;
    delivery.attempt += 1;
    const result = await post(delivery, timeoutMs, closing.signal);
    activeCount -= 1;
    if (closing.signal.aborted) return;
    attempts.push(attemptOf(delivery, result, world.now()));
    if (attempts.length > ATTEMPTS_KEPT_MAX) attempts.shift();
    if (result !== 200) retryLater(delivery);
    drain();
  };

  const drain = (): void => {
    while (activeCount < concurrencyMax && !closing.signal.aborted) {
      const next = queue.shift();
      if (next === undefined) return;
      void deliver(next);
    }
  };

  const clear = (): void => {
    queue = [];
    for (const timer of retries) clearTimeout(timer);
    retries.clear();
  };

  return {
    add(delivery) {
      if (queue.length + retries.size >= queueMax) lostCount += 1;
      else queue.push(delivery);
      drain();
    },
    attempts: () => [...attempts],
    pendingCount: () => queue.length + retries.size + activeCount,
    lostCount: () => lostCount,
    clear,
    close() {
      clear();
      closing.abort();
    },
  };
}

function attemptOf(delivery: Delivery, result: DeliveryAttempt['result'], at: Date): DeliveryAttempt {
  return {
    webhook_id: delivery.webhook.id,
    event: delivery.notification.event,
    account_id: delivery.notification.accountId,
    attempt: delivery.attempt,
    result,
    at: at.toISOString(),
  };
}

/**
 * One attempt. The body is bytes, so that `fetch` adds no Content-Type of its own: the real service
 * sends none.
 */
async function post(
  { webhook, body }: Delivery,
  timeoutMs: number,
  closing: AbortSignal,
): Promise<DeliveryAttempt['result']> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(webhook.requestUrl, {
      method: 'POST',
      headers: webhook.headers.map(({ key, value }): [string, string] => [key, value]),
      body,
      redirect: 'manual',
      signal: AbortSignal.any([timeout, closing]),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return timeout.aborted ? 'timeout' : 'unreachable';
  }
}

/** The webhook's own name is put in, and `data` selects and renames keys of a message. */
function bodyFor(webhook: Webhook, notification: Notification): Uint8Array<ArrayBuffer> {
  const named =
    notification.source === 'messaging'
      ? { ...notification.body, webhook_name: webhook.name ?? null }
      : notification.body;
  const chosen =
    webhook.data.length === 0
      ? named
      : Object.fromEntries(
          webhook.data.map(({ name, key }) => [name, (named as Record<string, unknown>)[key] ?? null]),
        );
  return new TextEncoder().encode(JSON.stringify(chosen));
}
