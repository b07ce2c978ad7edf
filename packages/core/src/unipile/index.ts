export type { Failure, FailureKind, SendMessageRequest, SentMessage, Unipile } from './unipile.ts';
export { createUnipileV1, type UnipileV1Options } from './v1/client.ts';
