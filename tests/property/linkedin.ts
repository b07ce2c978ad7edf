/**
 * What LinkedIn saw, and what a person who looks there finds: the truth that the tables are held against.
 *
 * A call has its effect, or has none, at the instant at which it was claimed; whether its answer
 * comes back is another matter.
 */
export type Kind = 'message' | 'post';

/** One call, as its worker knows it. */
export interface Call {
  readonly kind: Kind;
  readonly thingId: string;
  readonly attemptId: string;
  readonly claimId: string;
  readonly accountId: string;
  readonly claimMs: number;
  readonly leaseUntilMs: number;
  readonly hasEffect: boolean;
  /** Its worker has begun to say how it ended, so it may be closed. */
  isReported: boolean;
  /** Its worker was told that this was heard, so it is closed. */
  isAnswered: boolean;
  /**
   * People who are saying at this moment what became of it: they are believed once it is closed,
   * which may overtake them.
   */
  settlers: number;
  /**
   * Somebody has begun to say what became of it, so it may be known to be over. A lost answer says
   * nothing of the kind.
   */
  isOver: boolean;
}

export interface Bounds {
  readonly dmsPerDay: number;
  readonly dmsPer24h: number;
  readonly postGapMs: number;
}

const DAY_MS = 86_400_000;

export class LinkedIn {
  readonly calls: Call[] = [];
  readonly violations: string[] = [];

  /** A call was claimed: nothing else of its account may be under way. */
  claimed(call: Call): void {
    for (const other of this.calls) {
      const isLive = !other.isOver && other.leaseUntilMs > call.claimMs && call.leaseUntilMs > other.claimMs;
      if (other.accountId === call.accountId && isLive) {
        this.violations.push(`two calls under way: ${nameOf(other)} and ${nameOf(call)}`);
      }
    }
    this.calls.push(call);
  }

  /** The id under which the thing is there; null if it is not. */
  find(thingId: string): string | null {
    return this.calls.find((call) => call.thingId === thingId && call.hasEffect)?.attemptId ?? null;
  }

  /** Everything that LinkedIn should not have seen. */
  excesses(bounds: ReadonlyMap<string, Bounds>): string[] {
    const effects = this.calls.filter(({ hasEffect }) => hasEffect).sort((a, b) => a.claimMs - b.claimMs);
    const seen = new Map<string, Call>();
    const twice = effects.filter((call) => seen.has(call.thingId) || !seen.set(call.thingId, call));
    return [
      ...twice.map((call) => `${nameOf(call)} was seen twice`),
      ...[...bounds].flatMap(([accountId, bound]) =>
        excessesOf(
          effects.filter((call) => call.accountId === accountId),
          bound,
        ).map((excess) => `${accountId.slice(-2)}: ${excess}`),
      ),
    ];
  }
}

const nameOf = (call: Call): string =>
  `${call.kind} ${call.thingId} at ${new Date(call.claimMs).toISOString()}`;

function excessesOf(effects: readonly Call[], { dmsPerDay, dmsPer24h, postGapMs }: Bounds): string[] {
  const timesOf = (kind: Kind): number[] =>
    effects.filter((call) => call.kind === kind).map(({ claimMs }) => claimMs);
  const messages = timesOf('message');
  const days = Map.groupBy(messages, (ms) => Math.floor(ms / DAY_MS));
  return [
    ...[...days.values()]
      .filter((day) => day.length > dmsPerDay)
      .map((day) => `${day.length} messages on the day of ${new Date(day[0] ?? 0).toISOString()}`),
    ...messages
      .filter((ms, index) => ms - (messages[index - dmsPer24h] ?? Number.NEGATIVE_INFINITY) < DAY_MS)
      .map((ms) => `more than ${dmsPer24h} messages in the 24 hours up to ${new Date(ms).toISOString()}`),
    ...timesOf('post')
      .filter((ms, index, all) => index > 0 && ms - (all[index - 1] ?? 0) < postGapMs)
      .map((ms) => `a post too soon at ${new Date(ms).toISOString()}`),
  ];
}
