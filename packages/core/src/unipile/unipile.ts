/**
 * Unipile, as the core sees it: a port that names no version's shapes.
 *
 * A call never throws. A write is never retried here; it answers with what is known about the effect,
 * decided from the status, the error type and the socket's code, never from the text of a message.
 * A read looks for what a write may have left behind. It says `absent` only when it has read all there
 * is and the account is in order after it; whatever else it could not see is a failure.
 */

/**
 * Every way a call can fail. A read has no effect: there a kind says why it could not be read,
 * and `ambiguous` that it was not read this time.
 *
 * | kind | the effect | what is known |
 * | --- | --- | --- |
 * | `unreachable` | none | no connection was made: refused, DNS, TLS |
 * | `throttled` | none | the account has met a limit of LinkedIn's or Unipile's |
 * | `account_disconnected` | none | the account must sign in again |
 * | `account_restricted` | none | LinkedIn restricts the account |
 * | `account_missing` | none | Unipile does not know the account |
 * | `platform_key` | none | our key is refused: no account can send |
 * | `chat_missing` | none | the stored chat is gone, or the account cannot use it; the recipient may be written to |
 * | `not_connected` | none | the recipient is no first-degree connection |
 * | `recipient` | none | this recipient cannot be reached, for good |
 * | `recipient_later` | none | this recipient cannot be written to yet |
 * | `rejected` | none | the request is refused, for good |
 * | `gateway` | none | something before Unipile refused, which says nothing of the account or the request |
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
  | 'gateway'
  | 'ambiguous';

export interface Failure {
  readonly ok: false;
  readonly kind: FailureKind;
  /** Null where no answer came. */
  readonly httpStatus: number | null;
  /**
   * Unipile's error type without its `errors/`, or the socket's code; null if the answer had no
   * type of Unipile's.
   */
  readonly type: string | null;
  /** Unipile's title and detail, at most 500 characters; shown to people. */
  readonly detail: string | null;
  /** What a `Retry-After` asked for, in milliseconds. */
  readonly retryAfterMs: number | null;
}

export interface SentMessage {
  readonly ok: true;
  readonly httpStatus: number;
  /** Null if Unipile gave one that cannot be stored: it was sent all the same. */
  readonly messageId: string | null;
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

export interface PostFile {
  /** With its extension. */
  readonly name: string;
  /** `image/jpeg` and the like. */
  readonly mimeType: string;
  readonly bytes: Uint8Array;
}

/** A person or a company named in a post. `{{0}}` in the text stands for the first. */
export interface PostMention {
  readonly name: string;
  /** `ACo…`, or the digits of a company. */
  readonly profile_id: string;
  readonly is_company: boolean;
}

export interface CreatePostRequest {
  /** The author: Unipile's account id. */
  readonly accountId: string;
  readonly text: string;
  /** Images, one video, or one document. */
  readonly attachments: readonly PostFile[];
  readonly mentions: readonly PostMention[];
  /** Shown as a card. Unipile puts it at the end of a text that has it nowhere. */
  readonly externalLink: string | null;
  /** Digits of a company page to publish as; null for the account itself. */
  readonly asOrganization: string | null;
}

export interface PublishedPost {
  readonly ok: true;
  readonly httpStatus: number;
  /** Null if Unipile gave one that cannot be stored: it was published all the same. */
  readonly postId: string | null;
  /** The id that comments and reactions want, a URN; null if it could not be read. */
  readonly socialId: string | null;
  readonly shareUrl: string | null;
}

/** What a read found. */
export type SearchResult<Found> =
  | ({ readonly ok: true; readonly kind: 'found' } & Found)
  /** All there is was read, and the account was in order after it. */
  | { readonly ok: true; readonly kind: 'absent' }
  /** Not found, but what was read may be stale: the account's status, as Unipile names it. */
  | { readonly ok: true; readonly kind: 'account_out_of_order'; readonly status: string }
  | Failure;

export interface FoundMessage {
  readonly messageId: string;
  /** Null if it cannot be stored. */
  readonly chatId: string | null;
  readonly sentAt: Date;
}

export interface FoundPost {
  readonly postId: string;
  readonly socialId: string | null;
  readonly shareUrl: string | null;
  readonly sentAt: Date;
}

export interface FindMessageRequest {
  readonly accountId: string;
  readonly recipientId: string;
  /** The chat it was written in; null to look through all chats with the recipient. */
  readonly chatId: string | null;
  readonly text: string;
  /** When the attempt began. Two minutes are allowed for clocks that differ. */
  readonly since: Date;
  /** Messages that are other rows' already: never found. */
  readonly knownIds: readonly string[];
}

export interface FindPostRequest {
  readonly accountId: string;
  readonly text: string;
  readonly mentions: readonly PostMention[];
  readonly externalLink: string | null;
  readonly asOrganization: string | null;
  /** When the attempt began. Two minutes are allowed for clocks that differ. */
  readonly since: Date;
  /** Post ids and social ids that are other rows' already: never found. */
  readonly knownIds: readonly string[];
}

export interface ReadPostRequest {
  readonly accountId: string;
  readonly postId: string;
}

export interface Unipile {
  sendMessage(request: SendMessageRequest): Promise<SentMessage | Failure>;
  /** Publishes at once. What is known of the post beside its id is read after it, if it can be. */
  createPost(request: CreatePostRequest): Promise<PublishedPost | Failure>;
  /** The account's own message with this text, since then: the oldest, if there are several. */
  findMessage(request: FindMessageRequest): Promise<SearchResult<FoundMessage>>;
  /** The account's own post with this text, since then: the oldest, if there are several. */
  findPost(request: FindPostRequest): Promise<SearchResult<FoundPost>>;
  readPost(request: ReadPostRequest): Promise<SearchResult<FoundPost>>;
  close(): Promise<void>;
}
