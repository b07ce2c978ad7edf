/**
 * What may leave: an envelope is made anew of the members that are named here and have the form
 * that they must have. Whatever else it holds, and every other kind of item, is dropped, whoever
 * put it there.
 */
import type { CheckInEnvelope, Envelope, EventEnvelope } from '@sentry/core';

export type AllowedEnvelope = EventEnvelope | CheckInEnvelope;

/** The value as it may leave; undefined if it may not. */
type Rule = (value: unknown) => unknown;

const text =
  (pattern: RegExp): Rule =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? value : undefined;

const number: Rule = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);

const flag: Rule = (value) => (typeof value === 'boolean' ? value : undefined);

/** Of a list, the last `lengthMax`. */
const list =
  (rule: Rule, lengthMax: number): Rule =>
  (value) =>
    Array.isArray(value)
      ? value
          .slice(-lengthMax)
          .map(rule)
          .filter((item) => item !== undefined)
      : undefined;

/** An object without members that are not named; none at all where one of `needed` is missing. */
const members =
  (rules: Readonly<Record<string, Rule>>, needed: readonly string[] = []): Rule =>
  (value) => {
    if (typeof value !== 'object' || value === null) return undefined;
    const given = value as Record<string, unknown>;
    const kept = Object.fromEntries(
      Object.entries(rules)
        .map(([name, rule]) => [name, Object.hasOwn(given, name) ? rule(given[name]) : undefined] as const)
        .filter(([, member]) => member !== undefined),
    );
    return needed.every((name) => name in kept) ? kept : undefined;
  };

const HEX_ID = text(/^[0-9a-f]{32}$/);
const UUID = text(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const INSTANT = text(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)$/);
const JOB = text(/^[a-z][a-z0-9-]{0,63}$/);
const RELEASE = text(/^[\w.+-]{1,100}$/);
const ENVIRONMENT = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const CODE = text(/^[A-Z0-9_]{1,48}$/);
const TYPE = text(/^[A-Za-z]{1,64}$/);

/** A message of ours: what `errorRecord` leaves of one. */
const MESSAGE: Rule = (value) =>
  typeof value === 'string' ? value.slice(0, 1_000).toWellFormed() : undefined;

const FRAME = members({
  /** `apps/web/.next/server/chunks/[root]__1._.js` */
  filename: text(/^[\w.@+~()[\]:/-]{1,300}$/),
  /** `async Runs.start [as begin]` */
  function: text(/^(?:(?:async|new|get|set) )*[\w$.<>#?]{1,120}(?: \[as [\w$.]{1,60}\])?$/),
  lineno: number,
  colno: number,
  in_app: flag,
});

const EXCEPTION = members(
  {
    type: TYPE,
    value: MESSAGE,
    stacktrace: members({ frames: list(FRAME, 50) }),
    mechanism: members({ type: text(/^generic$/), handled: flag }),
  },
  ['type'],
);

const PROCESS = text(/^(?:jobs-api|worker|web)$/);

const TAGS = members(
  {
    process: PROCESS,
    job: JOB,
    run_id: UUID,
    slot: INSTANT,
    slice: text(/^\d{1,3}$/),
    account_id: UUID,
    attempt_id: UUID,
    request_id: UUID,
    route: text(/^\/[\w/[\].-]{0,100}$/),
    code: CODE,
    kind: text(/^[a-z][a-z_-]{0,47}$/),
    cause: text(/^(?:[A-Z0-9_]{1,48}|[A-Za-z]{1,64})$/),
  },
  // What has none was not made here.
  ['process'],
);

/** What every event has. */
const OF_EVENTS = {
  event_id: HEX_ID,
  timestamp: number,
  platform: text(/^node$/),
  release: RELEASE,
  environment: ENVIRONMENT,
};

const EVENT = members(
  {
    ...OF_EVENTS,
    level: text(/^(?:error|fatal)$/),
    exception: members({ values: list(EXCEPTION, 1) }),
    tags: TAGS,
  },
  ['event_id', 'exception', 'tags'],
);

const ALERT = members(
  {
    ...OF_EVENTS,
    level: text(/^(?:error|info)$/),
    message: text(/^Alert (?:opened|ended): [a-z_]{1,48}$/),
    fingerprint: list(text(/^[a-z_]{1,48}$/), 2),
    tags: members({ process: PROCESS, alert: text(/^[a-z_]{1,48}$/) }, ['process', 'alert']),
  },
  ['event_id', 'message', 'fingerprint', 'tags'],
);

const CHECK_IN = members(
  {
    check_in_id: HEX_ID,
    monitor_slug: JOB,
    status: text(/^(?:in_progress|ok|error)$/),
    duration: number,
    release: RELEASE,
    environment: ENVIRONMENT,
    monitor_config: members({
      schedule: members({ type: text(/^crontab$/), value: text(/^[\d*,/A-Z-]+(?: [\d*,/A-Z-]+){4}$/) }),
      timezone: text(/^UTC$/),
      checkin_margin: number,
      max_runtime: number,
    }),
  },
  ['check_in_id', 'monitor_slug', 'status'],
);

const ITEMS: ReadonlyMap<string, Rule> = new Map([
  ['event', (value) => EVENT(value) ?? ALERT(value)],
  ['check_in', CHECK_IN],
]);

const HEADERS = members({ event_id: HEX_ID, sent_at: INSTANT });

/** The envelope as it may be sent; null if there is nothing in it that may. */
export function allowedEnvelope([headers, items]: Envelope): AllowedEnvelope | null {
  const allowed = (items as ReadonlyArray<readonly [{ type?: unknown }, unknown]>).flatMap(
    ([{ type }, payload]) => {
      const kept = ITEMS.get(String(type))?.(payload);
      return kept === undefined ? [] : [[{ type }, kept]];
    },
  );
  return allowed.length === 0 ? null : ([HEADERS(headers), allowed] as unknown as AllowedEnvelope);
}
