/**
 * Reports to Sentry: errors, alerts and check-ins, and nothing else.
 *
 * A client of its own, with no integration: it hooks into nothing, follows no request and keeps no
 * breadcrumbs. It is not made known to the rest of the SDK either, so nothing but what is given
 * here comes to it; and `allowed.ts` is what it sends.
 */
import { createHash } from 'node:crypto';
import {
  type CheckIn,
  type ErrorFacts,
  type ErrorRecord,
  errorRecord,
  type Reports,
  withoutSecrets,
} from '@revos/core/telemetry';
import { createStackParser, createTransport, Scope } from '@sentry/core';
import { nodeStackLineParser, ServerRuntimeClient } from '@sentry/core/server';
import { type AllowedEnvelope, allowedEnvelope } from './allowed.ts';
import { alertEventOf, eventOf } from './event.ts';
import { requestTo } from './request.ts';

export interface SentryOptions {
  readonly dsn: string;
  readonly environment: string;
  /** What the process is. */
  readonly process: 'jobs-api' | 'worker' | 'web';
  /** The version, and the commit where that is known. */
  readonly release: string;
  /** Values that nothing may have that is told. */
  readonly secrets: readonly string[];
}

/** Reports on their way at once; a further one is dropped. */
const UNDER_WAY_MAX = 32;

/** How late a check-in may come, in minutes: a slot that the watchdog catches up begins within four. */
const LATE_MINUTES_MAX = 5;

const stackParser = createStackParser(nodeStackLineParser());

export function createSentryReports(options: SentryOptions): Reports {
  const { dsn, environment, process, release } = options;
  const cut = withoutSecrets(options.secrets);
  const told = new WeakSet<object>();
  const client = new ServerRuntimeClient({
    ...{ dsn, environment, release, stackParser },
    platform: 'node',
    integrations: [],
    traceLifecycle: 'static',
    sendClientReports: false,
    maxBreadcrumbs: 0,
    transport: (transportOptions) => {
      const transport = createTransport(
        { ...transportOptions, bufferSize: UNDER_WAY_MAX },
        requestTo(transportOptions.url),
      );
      return {
        flush: (timeoutMs) => transport.flush(timeoutMs),
        send: async (envelope) => {
          const allowed: AllowedEnvelope | null = allowedEnvelope(envelope);
          return allowed === null ? {} : transport.send(allowed);
        },
      };
    },
  });
  client.init();

  return {
    error(thrown, facts: ErrorFacts = {}, level = 'error') {
      if (typeof thrown === 'object' && thrown !== null) {
        if (told.has(thrown)) return;
        told.add(thrown);
      }
      const record = JSON.parse(cut(JSON.stringify(errorRecord(thrown)))) as ErrorRecord;
      const frames = stackParser(record.stack ?? '');
      const event = eventOf(record, frames, { ...facts, process }, level);
      client.captureEvent(event, {}, new Scope());
    },
    checkIn(checkIn) {
      const { job, schedule, status, runMinutesMax, durationMs } = checkIn;
      client.captureCheckIn(
        {
          ...{ monitorSlug: job, status, checkInId: checkInIdOf(checkIn, environment) },
          ...(durationMs === undefined ? {} : { duration: durationMs / 1_000 }),
        },
        {
          schedule: { type: 'crontab', value: schedule },
          timezone: 'UTC',
          checkinMargin: LATE_MINUTES_MAX,
          maxRuntime: runMinutesMax,
        },
        new Scope(),
      );
    },
    alert({ code, event }) {
      client.captureEvent(alertEventOf({ code, event }, process), {}, new Scope());
    },
    async flush(timeoutMs) {
      await client.flush(timeoutMs);
    },
  };
}

/** The same in every process: whoever ends a run closes what another one opened. */
function checkInIdOf({ job, slot }: Pick<CheckIn, 'job' | 'slot'>, environment: string): string {
  return createHash('sha256')
    .update(`${environment} ${job} ${slot.toISOString()}`)
    .digest('hex')
    .slice(0, 32);
}
