/**
 * Settings of a policy as they are typed: `dms_per_day=30 work_days=1-5`. The API checks their
 * ranges. Pure.
 */
import { UsageError } from './exit-codes.ts';
import { splitPair } from './filters.ts';
import type { PolicyPatch } from './shapes.ts';

type Kind = 'integer' | 'text' | 'day or none' | 'days of the week' | 'days or none';

const KINDS = {
  dms_per_day: 'integer',
  dms_per_24h: 'integer',
  dms_per_7d: 'integer',
  gap_min_s: 'integer',
  gap_max_s: 'integer',
  post_gap_s: 'integer',
  no_repeat_days: 'integer',
  time_zone: 'text',
  window_start: 'text',
  window_end: 'text',
  work_days: 'days of the week',
  holidays: 'days or none',
  warm_up_from: 'day or none',
} as const satisfies Readonly<Record<keyof PolicyPatch, Kind>>;

export const POLICY_KEYS = Object.keys(KINDS);

/** @throws {UsageError} on a setting that does not exist, stands twice, or is of the wrong kind */
export function readPolicyPatch(settings: readonly string[]): PolicyPatch {
  const patch: Record<string, unknown> = {};
  for (const setting of settings) {
    const [key, value] = splitPair(setting);
    if (!Object.hasOwn(KINDS, key)) {
      throw new UsageError(`There is no setting “${key}”. There are: ${POLICY_KEYS.join(', ')}.`);
    }
    if (Object.hasOwn(patch, key)) throw new UsageError(`${key} stands twice.`);
    patch[key] = readSetting(key, value, KINDS[key as keyof typeof KINDS]);
  }
  return patch;
}

function readSetting(key: string, value: string, kind: Kind): unknown {
  switch (kind) {
    case 'integer':
      return wholeNumber(key, value);
    case 'text':
      return value;
    case 'day or none':
      return value === 'none' ? null : value;
    case 'days or none':
      return value === 'none' ? [] : value.split(',').map((day) => day.trim());
    case 'days of the week':
      return value.split(',').flatMap((part) => weekDays(key, part.trim()));
  }
}

function wholeNumber(key: string, value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new UsageError(`${key} must be a whole number.`);
  return Number(value);
}

/** `3`, or `1-5`. */
function weekDays(key: string, part: string): number[] {
  const [, first, last = first] = /^([1-7])(?:-([1-7]))?$/.exec(part) ?? [];
  if (first === undefined || Number(last) < Number(first)) {
    throw new UsageError(`${key} must be days from 1 (Monday) to 7, such as 1-5 or 1,3,5.`);
  }
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => Number(first) + index);
}
