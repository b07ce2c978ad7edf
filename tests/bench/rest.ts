/** The REST API over a database of the comparison, as a process of its own. */

import { type Child, startChild } from '../support/child.ts';
import type { SupabaseOrder, SupabaseReady } from '../support/supabase-process.ts';

/** As many as the direct way has. */
const SESSIONS_MAX = 10;

export interface Rest {
  readonly child: Child;
  readonly ready: SupabaseReady;
}

export async function startRest(postgresUrl: string): Promise<Rest> {
  const child = startChild('support/supabase-process.ts');
  const order: SupabaseOrder = { postgresUrl, migrations: [], sessionsMax: SESSIONS_MAX };
  return { child, ready: await child.ask<SupabaseReady>(order) };
}
