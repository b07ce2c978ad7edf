import Type from 'typebox';
import { type JobDefinition, RunParams } from '../jobs/index.ts';

/** Sends the due messages of `dm_queue`, under every account's limits. */
export const dmQueue: JobDefinition = {
  name: 'dm-queue',
  summary: 'Sends the due messages of dm_queue as LinkedIn messages, under each account’s limits.',
  schedule: '*/15 * * * *',
  params: Type.Pick(RunParams, ['account_ids', 'dry_run', 'limit']),
  priority: 5,
  isSliced: true,
  loadHandler: async () => (await import('./dm-outbox.ts')).processQueue,
};
