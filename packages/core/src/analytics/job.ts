import Type from 'typebox';
import { type JobDefinition, RunParams } from '../jobs/index.ts';

/**
 * Recounts the last days of every account, then what is made of them; and deletes history that is
 * past its time.
 */
export const analytics: JobDefinition = {
  name: 'analytics',
  summary:
    'Recounts the last days of every account, refreshes the platform’s view, warms its cache, and deletes old history.',
  schedule: '0 0 * * *',
  params: Type.Pick(RunParams, ['days', 'from', 'to', 'dry_run']),
  loadHandler: async () => (await import('./recount.ts')).recount,
};
