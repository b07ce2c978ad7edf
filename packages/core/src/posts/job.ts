import Type from 'typebox';
import { type JobDefinition, RunParams } from '../jobs/index.ts';

/** Publishes the due posts that RevOS has as scheduled. */
export const postScheduler: JobDefinition = {
  name: 'post-scheduler',
  summary: 'Publishes scheduled posts on LinkedIn, and checks the media of those that come next.',
  schedule: '*/15 * * * *',
  params: Type.Pick(RunParams, ['account_ids', 'dry_run', 'limit']),
  priority: 5,
  isSliced: true,
  loadHandler: async () => (await import('./publish.ts')).publishPosts,
};
