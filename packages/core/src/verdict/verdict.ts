/** What the verdict says: the shape of `GET /api/verdict`. */
import Type, { type Static } from 'typebox';
import { Instant, Nullable } from '../shapes/index.ts';

/** From the least pressing to the most. */
export const VERDICT_STATES = ['well', 'late', 'needs_a_person', 'stopped', 'unknown'] as const;

export const VerdictState = Type.Enum([...VERDICT_STATES], {
  type: 'string',
  description:
    '`well`; `late`: what is due goes, or should go, later than it could; `needs_a_person`: something waits until somebody acts; ' +
    '`stopped`: nothing goes out; `unknown`: it cannot be seen, or was not seen yet.',
});
export type VerdictState = (typeof VERDICT_STATES)[number];

/** What can be found, by stable names: docs/alerts.md has each. */
export const FINDING_CODES = [
  'all_well',
  'not_seen',
  'never_run',
  'not_ready',
  'all_paused',
  'key_refused',
  'accounts_waiting',
  'messages_held',
  'posts_unknown',
  'posts_missed',
  'posts_held',
  'run_failed',
  'run_not_begun',
  'run_silent',
  'slot_missed',
  'sends_nothing',
  'messages_late',
  'posts_late',
] as const;

export const FindingCode = Type.Enum([...FINDING_CODES], {
  type: 'string',
  description: 'What was found, by a name that does not change.',
});
export type FindingCode = (typeof FINDING_CODES)[number];

const finding = {
  code: FindingCode,
  state: VerdictState,
  sentence: Type.String({ description: 'For people, and the same wherever it is read.' }),
  since: Nullable(Instant),
  why: Nullable(Type.String()),
  what_to_do: Nullable(Type.String()),
};

export const Finding = Type.Object(finding, { $id: 'Finding' });
export type Finding = Static<typeof Finding>;

export const Verdict = Type.Object(
  {
    ...finding,
    also: Type.Array(Finding, { description: 'What else was found, the most pressing first.' }),
    as_of: Instant,
  },
  { $id: 'Verdict' },
);
export type Verdict = Static<typeof Verdict>;
