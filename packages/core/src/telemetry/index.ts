export { type ErrorRecord, errorRecord, messageOf } from './error-record.ts';
export { createLogger, type Logger, type LoggerOptions } from './logger.ts';
