/**
 * The checks, in the order in which their findings are told. Each is a file here, and is added to
 * this list.
 */
import type { Context } from '../context.ts';
import type { Finding } from '../finding.ts';
import { checkAccounts } from './accounts.ts';
import { checkAlerts } from './alerts.ts';
import { checkClocks } from './clocks.ts';
import { checkContradictions } from './contradictions.ts';
import { checkDatabase } from './database.ts';
import { checkJobsApi } from './jobs-api.ts';
import { checkRedis } from './redis.ts';
import { checkRevosTables } from './revos-tables.ts';
import { checkTrigger } from './trigger.ts';
import { checkUnipile } from './unipile.ts';
import { checkVariables } from './variables.ts';

export interface NamedCheck {
  readonly name: string;
  readonly check: (context: Context) => Promise<Finding[]>;
}

export const CHECKS: readonly NamedCheck[] = [
  { name: 'variables', check: checkVariables },
  { name: 'contradictions', check: checkContradictions },
  { name: 'database', check: checkDatabase },
  { name: 'RevOS’s tables', check: checkRevosTables },
  { name: 'Unipile', check: checkUnipile },
  { name: 'accounts', check: checkAccounts },
  { name: 'Redis', check: checkRedis },
  { name: 'clocks', check: checkClocks },
  { name: 'jobs API', check: checkJobsApi },
  { name: 'trigger', check: checkTrigger },
  { name: 'alerts', check: checkAlerts },
];
