export { retryDelayMs } from './backoff.ts';
