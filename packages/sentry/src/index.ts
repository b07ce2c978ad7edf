export { createSentryReports, type SentryOptions } from './reports.ts';
