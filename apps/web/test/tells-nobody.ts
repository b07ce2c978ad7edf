import { NO_TRACES } from '@revos/core/telemetry';
import type { CronDependencies } from '../src/cron/answer-cron.ts';

/** For a cron route that neither a channel for alerts nor a collector of traces is configured for. */
export const TELLS_NOBODY: Pick<CronDependencies, 'openAlerts' | 'onAlertsFailed' | 'openTraces'> = {
  openAlerts: () => {
    throw new Error('nobody is to be told here');
  },
  onAlertsFailed: (error) => {
    throw error;
  },
  openTraces: async () => NO_TRACES,
};
