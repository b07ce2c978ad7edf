/**
 * Unipile, as the core sees it: a port that names no version's shapes.
 *
 * A call never throws and is never retried here. It answers with what is known about the effect,
 * decided from the status, the error type and the socket's code, never from the text of a message.
 */

/**
 * Every way a write can fail.
 *
 * | kind | the effect | what is known |
 * | --- | --- | --- |
 * | `unreachable` | none | no connection was made: refused, DNS, TLS |
 * | `throttled` | none | the account has met a limit of LinkedIn's or Unipile's |
 * | `account_disconnected` | none | the account must sign in again |
 * | `account_restricted` | none | LinkedIn restricts the account |
 * | `account_missing` | none | Unipile does not know the account |
 * | `platform_key` | none | our key is refused: no account can send |
 * | `chat_missing` | none | the stored chat is gone; another may be started |
 * | `not_connected` | none | the recipient is no first-degree connection |
 * | `recipient` | none | this recipient cannot be reached, for good |
 * | `recipient_later` | none | this recipient cannot be written to yet |
 * | `rejected` | none | the request is refused, for good |
 * | `ambiguous` | unknown | it may have been applied; only reading back can tell |
 */
export type FailureKind =
  | 'unreachable'
  | 'throttled'
  | 'account_disconnected'
  | 'account_restricted'
  | 'account_missing'
  | 'platform_key'
  | 'chat_missing'
  | 'not_connected'
  | 'recipient'
  | 'recipient_later'
  | 'rejected'
  | 'ambiguous';

export interface Failure {
  readonly ok: false;
  readonly kind: FailureKind;
  /** Null where no answer came. */
  readonly httpStatus: number | null;
  /** Unipile's error type without its prefix, or the socket's code. */
  readonly type: string | null;
  /** Unipile's title and detail, at most 500 characters; shown to people. */
  readonly detail: string | null;
  /** What a `Retry-After` asked for, in milliseconds. */
  readonly retryAfterMs: number | null;
}

export interface SentMessage {
  readonly ok: true;
  readonly httpStatus: number;
  readonly messageId: string;
  readonly chatId: string | null;
}

export interface SendMessageRequest {
  /** The sender: Unipile's account id. */
  readonly accountId: string;
  /** LinkedIn provider id, `ACo…`. */
  readonly recipientId: string;
  /** The chat to write in; null starts one, or goes on with the one that exists. */
  readonly chatId: string | null;
  readonly text: string;
}

export interface Unipile {
  sendMessage(request: SendMessageRequest): Promise<SentMessage | Failure>;
  close(): Promise<void>;
}
