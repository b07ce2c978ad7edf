/** What of the verdict's findings people are told of. Pure. */
import {
  FINDING_CODES,
  type FindingCode,
  type Found,
  findings,
  type VerdictFacts,
} from '../verdict/index.ts';

/**
 * Said by nobody's alert: that all is well, that nothing was seen yet, and a pause, of which a
 * person knows who made it.
 */
const NOT_TOLD: ReadonlySet<FindingCode> = new Set(['all_well', 'not_seen', 'never_run', 'all_paused']);

export const ALERT_CODES: readonly FindingCode[] = FINDING_CODES.filter((code) => !NOT_TOLD.has(code));

/** As `alerts_observe` takes it. */
export interface Condition {
  readonly code: FindingCode;
  readonly state: Found['state'];
  readonly subjects: readonly string[];
  readonly is_partial: boolean;
  readonly sentence: string;
  readonly why: string | null;
  readonly what_to_do: string | null;
  readonly since: string | null;
}

export interface Observation {
  /** One for each code. */
  readonly found: readonly Condition[];
  /** What was looked for: of anything else it is not known whether it is there. */
  readonly looked_at: readonly FindingCode[];
}

/**
 * Found among posts of which not all may have been looked at: then none that is found is none that
 * is known.
 */
const COUNTED = { posts_held: 'held_posts', posts_late: 'late_posts' } as const;

function isSeen(code: FindingCode, system: VerdictFacts['system']): boolean {
  if (system === null) return false;
  const waiting = code in COUNTED ? system[COUNTED[code as keyof typeof COUNTED]] : null;
  return waiting === null || waiting.count > 0 || !waiting.is_more;
}

/**
 * @param isReadinessKnown whether what keeps the service from its work has lasted: a moment of it
 * is not told
 */
export function observe(facts: VerdictFacts, isReadinessKnown: boolean): Observation {
  const looked_at = ALERT_CODES.filter((code) =>
    code === 'not_ready' ? isReadinessKnown : isSeen(code, facts.system),
  );
  const found = new Map<FindingCode, Condition>();
  for (const { isPartial, ...finding } of findings(facts)) {
    if (!looked_at.includes(finding.code)) continue;
    const condition = { ...finding, is_partial: isPartial };
    const earlier = found.get(finding.code);
    found.set(finding.code, earlier === undefined ? condition : merged(earlier, condition));
  }
  return { found: [...found.values()], looked_at };
}

/** Two jobs with the same trouble are one alert. */
function merged(first: Condition, second: Condition): Condition {
  return {
    ...first,
    subjects: [...first.subjects, ...second.subjects],
    is_partial: first.is_partial || second.is_partial,
    sentence: `${first.sentence} ${second.sentence}`,
  };
}
