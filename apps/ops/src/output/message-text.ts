/** Messages and posts in words. Pure. */
import { reasonInWords } from '@revos/core/sending';
import type { Message, MessageDetail, Post, PostDetail, PostOptions } from '../shapes.ts';
import { facts, table, textCell } from './table.ts';
import { exactInstant, instant, NOTHING, onOneLine, printable, shortened } from './words.ts';

/** Characters of the column that says why. */
const WHY_WIDTH = 44;

const why = (reason: string | null): string | null =>
  reason === null ? null : onOneLine(reasonInWords(reason));

/** A list of messages. Their texts are not part of it. */
export function messagesTable(messages: readonly Message[]): string {
  if (messages.length === 0) return 'There are no such messages.';
  return table(messages, [
    { head: 'Message', of: ({ id }) => id },
    { head: 'Account', of: ({ account_name }) => textCell(account_name) },
    { head: 'To', of: ({ recipient_id }) => shortened(onOneLine(recipient_id)) },
    { head: 'Status', of: ({ status }) => status },
    { head: 'Why', of: ({ reason }) => why(reason), width: WHY_WIDTH },
    { head: 'Not before', of: ({ send_at, not_before }) => instant(later(send_at, not_before)) },
    { head: 'Sent', of: ({ sent_at }) => instant(sent_at) },
  ]);
}

const later = (sendAt: string, notBefore: string | null): string =>
  notBefore !== null && Date.parse(notBefore) > Date.parse(sendAt) ? notBefore : sendAt;

/** Everything about one message, its text among it. */
export function messageText(message: MessageDetail): string {
  const { explanation } = message;
  return [
    facts([
      ['Message', message.id],
      ['Account', accountOf(message)],
      ['To', onOneLine(message.recipient_id)],
      ['Status', message.status],
      ['Why', `${why(explanation.reason)} (${onOneLine(explanation.reason)})`],
      ['Error', message.error === null ? undefined : onOneLine(message.error)],
      ['Can go', explanation.can_go_at === null ? undefined : instant(explanation.can_go_at)],
      ['Is read next', explanation.next_read_at === null ? undefined : instant(explanation.next_read_at)],
      ['Not before', instant(later(message.send_at, message.not_before))],
      ['Sent', exactInstant(message.sent_at)],
      ['Priority', message.priority],
      ['Dedupe key', message.dedupe_key === null ? undefined : onOneLine(message.dedupe_key)],
      ['Campaign', message.campaign_id ?? undefined],
      ['Lead', message.lead_id ?? undefined],
      ['Chat', message.chat_id === null ? undefined : onOneLine(message.chat_id)],
      [
        'Unipile’s id',
        message.unipile_message_id === null ? undefined : onOneLine(message.unipile_message_id),
      ],
      ['Queued', exactInstant(message.created_at)],
    ]),
    indented(message.message),
    attemptsTable(message),
  ].join('\n\n');
}

/** A list of posts. Their texts are not part of it. */
export function postsTable(posts: readonly Post[]): string {
  if (posts.length === 0) return 'There are no such posts.';
  return table(posts, [
    { head: 'Post', of: ({ id }) => id },
    { head: 'Account', of: ({ account_name }) => textCell(account_name) },
    { head: 'State', of: ({ state }) => state },
    { head: 'Why', of: ({ reason }) => why(reason), width: WHY_WIDTH },
    { head: 'Scheduled for', of: ({ scheduled_for }) => instant(scheduled_for) },
    { head: 'Published', of: ({ published_at }) => instant(published_at) },
  ]);
}

/** Everything about one post, its text among it. */
export function postText(post: PostDetail): string {
  const { explanation } = post;
  return [
    facts([
      ['Post', post.id],
      ['Account', accountOf(post)],
      ['State', post.state],
      [
        'Why',
        explanation.reason === null
          ? undefined
          : `${why(explanation.reason)} (${onOneLine(explanation.reason)})`,
      ],
      ['Error', post.error === null ? undefined : onOneLine(post.error)],
      ['Can go', explanation.can_go_at === null ? undefined : instant(explanation.can_go_at)],
      ['Is read next', explanation.next_read_at === null ? undefined : instant(explanation.next_read_at)],
      ['Scheduled for', instant(post.scheduled_for)],
      ['Published', exactInstant(post.published_at)],
      ['On LinkedIn', post.post_url === null ? undefined : onOneLine(post.post_url)],
      ['Unipile’s id', post.unipile_post_id === null ? undefined : onOneLine(post.unipile_post_id)],
      ['Campaign', post.campaign_id ?? undefined],
    ]),
    indented(post.content),
    postOptionsText(post.options),
    attemptsTable(post),
  ].join('\n\n');
}

/** How a post is published, besides its text. */
export function postOptionsText(options: PostOptions): string {
  const { media, media_problem, mentions, external_link, as_organization, is_literal } = options;
  return facts([
    ['Media', media.length === 0 ? NOTHING : media.map(({ url }) => onOneLine(url)).join(', ')],
    [
      'Media problem',
      media_problem === null
        ? undefined
        : onOneLine([reasonInWords(media_problem.problem), media_problem.detail ?? ''].join(' ')),
    ],
    ['Mentions', mentions.length === 0 ? NOTHING : mentions.map(mentionText).join(', ')],
    ['Link', external_link === null ? NOTHING : onOneLine(external_link)],
    ['Organization', as_organization === null ? NOTHING : onOneLine(as_organization)],
    ['Placeholders', is_literal ? 'what looks like one is meant' : undefined],
  ]);
}

/** As it is typed: `Ada Moreau=ACoAA…`. */
const mentionText = ({ name, profile_id, is_company }: PostOptions['mentions'][number]): string =>
  onOneLine(`${name}=${profile_id}${is_company ? ':company' : ''}`);

function attemptsTable({ attempts, attempts_total }: MessageDetail | PostDetail): string {
  if (attempts.length === 0) return 'It has not been tried.';
  const tried = table<(typeof attempts)[number]>(attempts, [
    { head: 'Tried', of: ({ started_at }) => exactInstant(started_at) },
    { head: 'Outcome', of: ({ outcome }) => outcome ?? 'in flight' },
    { head: 'HTTP', of: ({ http_status }) => http_status },
    { head: 'Type', of: ({ error_type }) => textCell(error_type) },
    { head: 'Detail', of: ({ detail }) => textCell(detail), width: WHY_WIDTH },
    { head: 'Read back', of: ({ read_backs }) => read_backs },
    { head: 'Read next', of: ({ next_read_at }) => (next_read_at === null ? null : instant(next_read_at)) },
  ]);
  if (attempts_total <= attempts.length) return tried;
  return `${tried}\nThese are the latest ${attempts.length} of ${attempts_total}.`;
}

const accountOf = (row: { account_name: string | null; linkedin_account_id: string | null }): string =>
  row.account_name === null ? (row.linkedin_account_id ?? NOTHING) : onOneLine(row.account_name);

const indented = (text: string): string =>
  printable(text.replace(/\r\n?/g, '\n'))
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
