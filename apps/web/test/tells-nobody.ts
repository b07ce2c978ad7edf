import type { CronDependencies } from '../src/cron/answer-cron.ts';

/** For a cron route that no channel for alerts is configured for. */
export const TELLS_NOBODY: Pick<CronDependencies, 'openAlerts' | 'onAlertsFailed'> = {
  openAlerts: () => {
    throw new Error('nobody is to be told here');
  },
  onAlertsFailed: (error) => {
    throw error;
  },
};
