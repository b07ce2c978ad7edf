/**
 * What a span may say: the facts that are named here, each in its form. Whatever else comes is
 * dropped, whoever gave it.
 */
import type { Attributes } from '@opentelemetry/api';
import { errorRecord, type SpanFacts } from '@revos/core/telemetry';

type Rule = readonly [attribute: string, isAllowed: (value: unknown) => boolean];

const text = (attribute: string, pattern: RegExp): Rule => [
  attribute,
  (value) => typeof value === 'string' && pattern.test(value),
];

const count = (attribute: string): Rule => [attribute, Number.isSafeInteger];

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)$/;
const NAME = /^[a-z][a-z0-9-]{0,63}$/;
/** Of a closed list: `given-back`, `rate_limited`. */
const WORD = /^[a-z][a-z_-]{0,47}$/;

const RULES: Readonly<Record<keyof SpanFacts, Rule>> = {
  job: text('revos.job', NAME),
  run_id: text('revos.run_id', UUID),
  slot: text('revos.slot', INSTANT),
  slice: count('revos.slice'),
  account_id: text('revos.account_id', UUID),
  attempt_id: text('revos.attempt_id', UUID),
  request_id: text('revos.request_id', UUID),
  trigger: text('revos.trigger', WORD),
  outcome: text('revos.outcome', WORD),
  reason: text('revos.reason', WORD),
  status: text('revos.status', WORD),
  attempt: count('revos.attempt'),
  asked: count('revos.asked'),
  count: count('revos.count'),
  http_status: count('http.response.status_code'),
};

export function attributesOf(facts: SpanFacts): Attributes {
  const known = Object.entries(facts).flatMap(([name, value]) => {
    const rule = Object.hasOwn(RULES, name) ? RULES[name as keyof SpanFacts] : undefined;
    return rule?.[1](value) === true ? [[rule[0], value] as const] : [];
  });
  return Object.fromEntries(known);
}

const TYPE = /^[A-Za-z0-9_]{1,64}$/;

/** The code of what was thrown, or its type: never its message. */
export function errorTypeOf(thrown: unknown): string {
  const { code, type } = isCoded(thrown) ? { code: thrown.code, type: undefined } : errorRecord(thrown);
  return [code, type].find((name) => name !== undefined && TYPE.test(name)) ?? 'Error';
}

const isCoded = (thrown: unknown): thrown is { readonly code: string } =>
  !(thrown instanceof Error) && typeof (thrown as { code?: unknown } | null)?.code === 'string';
