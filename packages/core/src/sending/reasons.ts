/**
 * Reasons: the closed list of why a message or a post has not gone out, in words. `docs/reasons.md` says what
 * to do about each; the SQL functions and `outcome.ts` give no other.
 */
export const REASONS = {
  // Waiting: it goes out by itself.
  ready: 'goes out with the next run',
  queued_behind: 'waits behind other messages of its account',
  scheduled: 'its time has not come',
  in_flight: 'another message of the account is being sent, or may still be',
  gap: 'the account pauses between two messages',
  post_gap: 'the account pauses between two posts',
  day_limit: 'the account’s limit for the day is used up',
  rolling_24h_limit: 'the account’s limit for 24 hours is used up',
  rolling_7d_limit: 'the account’s limit for 7 days is used up',
  outside_hours: 'it is outside the account’s hours',
  day_off: 'it is a day off for the account',
  unreachable: 'Unipile could not be reached; it is tried again',
  rate_limited: 'LinkedIn or Unipile asked the account to slow down',
  recipient_later: 'the recipient cannot be written to again yet',
  chat_missing: 'the stored chat cannot be used any more; the recipient is written to instead',
  gateway_refused: 'something before Unipile refused it; it is tried again',
  media_unreachable: 'a file of the post could not be fetched; it is tried again',
  retry_later: 'it is tried again later',
  not_read_back: 'LinkedIn could not be read just before it would have been sent again',
  absent_on_linkedin: 'it was not found on LinkedIn, and is sent once more',
  // Waiting for a person, or for the account.
  all_paused: 'all sending is paused',
  paused: 'the account is paused',
  account_missing: 'the account does not exist any more',
  account_inactive: 'the account is not active',
  account_not_connected: 'the account is not connected to Unipile',
  account_disconnected: 'the account must sign in to LinkedIn again',
  account_restricted: 'LinkedIn restricts the account',
  platform_key_refused: 'Unipile refuses the API key',
  // The post is held until somebody mends it; then it goes on by itself.
  post_without_account: 'the post has no account',
  post_without_time: 'the post is scheduled for no time',
  post_empty: 'the post has no text',
  post_placeholder: 'the text has a placeholder that was not filled in',
  post_unreadable: 'the text has characters that were lost before it came here',
  post_too_long: 'the text is longer than LinkedIn takes',
  post_has_id: 'the post has a LinkedIn id already: it may have been published elsewhere',
  media_invalid: 'a file of the post cannot be used',
  too_late: 'the post is too late to be published by itself',
  // Ended, or waiting to be settled.
  publishing: 'it is being published',
  published: 'it was published',
  post_draft: 'it is a draft in RevOS',
  post_failed_in_revos: 'RevOS has it as failed',
  sending: 'it is being sent',
  sent: 'it was sent',
  answer_lost: 'the answer was lost: it may have been sent, and is looked for on LinkedIn',
  restored:
    'it may have gone out after the instant to which the database was put back, and is looked for on LinkedIn',
  unknown_held: 'it was not found on LinkedIn, and a person decides',
  dropped: 'it may have been sent, and a person gave it up',
  not_connected: 'the recipient is not a first-degree connection',
  recipient_unreachable: 'the recipient cannot be reached',
  chat_of_another: 'its chat is that of another recipient',
  repeated: 'the same was sent to the same person, and the account does not repeat itself',
  rejected: 'Unipile or LinkedIn refuses the message',
  retries_exhausted: 'it could not be sent after five retries',
  cancelled: 'it was cancelled',
} as const satisfies Readonly<Record<string, string>>;

export type Reason = keyof typeof REASONS;

/** The reason in words, as part of a sentence; an unknown code is shown as it is. */
export function reasonInWords(reason: string): string {
  return Object.hasOwn(REASONS, reason) ? REASONS[reason as Reason] : reason;
}
