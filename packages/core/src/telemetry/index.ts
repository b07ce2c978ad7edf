export { type ErrorRecord, errorRecord, messageOf } from './error-record.ts';
export { createLogger, type Logger, type LoggerOptions, withoutSecrets } from './logger.ts';
export { type AlertReport, type CheckIn, type ErrorFacts, NO_REPORTS, type Reports } from './reports.ts';
export { socketCodeOf } from './socket-code.ts';
