/** The facts of the verdict, in the database, and the verdict of a service over them. */
import type { Effects } from '../effects/index.ts';
import { isOutage } from '../jobs/index.ts';
// Not the index: the dashboard needs no client of the database.
import { type Rpc, RpcError } from '../rpc/rpc.ts';
import type { Logger, Reports } from '../telemetry/index.ts';
import { areWhole, type SystemFacts, type VerdictFacts } from './facts.ts';
import { judge } from './judge.ts';
import type { Verdict } from './verdict.ts';

export interface VerdictOptions {
  readonly rpc: Rpc;
  readonly effects: Pick<Effects, 'now'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** Told where the database refuses to say: a grant or a function that is missing. */
  readonly reports?: Pick<Reports, 'error'>;
  readonly jobs: VerdictFacts['jobs'];
  /** A post later than this is missed; 0 to 525,600. */
  readonly postLateLimitMinutes: number;
  /** What keeps the service from its work; null if nothing does. It never throws. */
  readonly findReadinessFailure: () => Promise<string | null>;
}

/** Judges what is seen now. A database that does not answer is a verdict too. */
export async function readVerdict(options: VerdictOptions): Promise<Verdict> {
  return judge(await readFacts(options), options.effects.now());
}

/** What there is to judge. `system` is null where the database does not answer. */
export async function readFacts(options: Omit<VerdictOptions, 'effects'>): Promise<VerdictFacts> {
  const { rpc, logger, jobs, postLateLimitMinutes } = options;
  const [notReady, system] = await Promise.all([
    options.findReadinessFailure(),
    rpc
      .call<SystemFacts>('system_facts', {
        jobs: jobs.map(({ name }) => name),
        late_limit_minutes: postLateLimitMinutes,
      })
      // Of another version: readiness says so.
      .then((facts) => (areWhole(facts) ? facts : null))
      .catch((error: unknown) => {
        if (!(error instanceof RpcError)) throw error;
        logger.warn({ err: error }, 'verdict facts unavailable');
        if (!isOutage(error)) options.reports?.error(error);
        return null;
      }),
  ]);
  return { notReady, jobs, system };
}
