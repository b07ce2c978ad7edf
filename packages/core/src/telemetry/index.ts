export { type ErrorRecord, errorRecord, messageOf } from './error-record.ts';
export { createLogger, type Logger, type LoggerOptions, withoutSecrets } from './logger.ts';
export { type AlertReport, type CheckIn, type ErrorFacts, NO_REPORTS, type Reports } from './reports.ts';
export { socketCodeOf } from './socket-code.ts';
export {
  inSpan,
  isTraceparent,
  NO_SPAN,
  NO_TRACES,
  type Span,
  type SpanFacts,
  type SpanName,
  type Traces,
} from './traces.ts';
