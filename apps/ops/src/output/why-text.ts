/** Why one message or post has not gone out, in one paragraph. Pure. */
import { reasonInWords } from '@revos/core/sending';
import type { MessageDetail, PostDetail } from '../shapes.ts';
import { counted, exactInstant, instant, onOneLine } from './words.ts';

export type Asked =
  | { readonly kind: 'message'; readonly row: MessageDetail }
  | { readonly kind: 'post'; readonly row: PostDetail };

/** Nothing of its text is in it. */
export function whyText(asked: Asked): string {
  const { explanation } = asked.row;
  return [
    `${introduction(asked)}: ${explanation.reason === null ? 'nothing is to be done' : reasonText(explanation.reason)}.`,
    explanation.error === null ? '' : sentence(`It says: ${onOneLine(explanation.error)}`),
    explanation.can_go_at === null ? '' : `It can go ${instant(explanation.can_go_at)}, at the earliest.`,
    aheadText(explanation.ahead, asked.kind),
    pauseText(explanation.account),
    explanation.next_read_at === null
      ? ''
      : `It is looked for on LinkedIn next ${exactInstant(explanation.next_read_at)}.`,
    attemptsText(asked.row),
    explanation.reason === null ? '' : `What to do: docs/reasons.md, \`${onOneLine(explanation.reason)}\`.`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function introduction({ kind, row }: Asked): string {
  const from = row.account_name === null ? 'an account that is gone' : onOneLine(row.account_name);
  return kind === 'message'
    ? `Message ${row.id} from ${from} to ${onOneLine(row.recipient_id)} is ${row.status}`
    : `Post ${row.id} of ${from} is ${row.state}`;
}

const reasonText = (reason: string): string => onOneLine(reasonInWords(reason));

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** As many as are counted, at most. */
const AHEAD_MAX = 1_000;

function aheadText(ahead: number, kind: Asked['kind']): string {
  if (ahead === 0) return '';
  const many = ahead >= AHEAD_MAX ? `${AHEAD_MAX} or more ${kind}s` : counted(ahead, kind);
  return `${many} of its account ${ahead === 1 ? 'goes' : 'go'} first.`;
}

function pauseText({ paused_until, pause_reason }: MessageDetail['explanation']['account']): string {
  if (paused_until === null) return '';
  const until = paused_until === 'infinity' ? 'until somebody resumes it' : `until ${instant(paused_until)}`;
  return `Its account is paused ${until}${pause_reason === null ? '' : `: ${reasonText(pause_reason)}`}.`;
}

function attemptsText({ attempts, attempts_total }: MessageDetail | PostDetail): string {
  const last = attempts.at(-1);
  if (last === undefined) return 'It has not been tried.';
  const facts = [last.http_status, last.error_type].filter((fact) => fact !== null);
  const how = last.outcome === null ? 'is in flight' : `ended as ${last.outcome}`;
  const why = facts.length === 0 ? '' : ` (${onOneLine(facts.join(' '))})`;
  const times = attempts_total === 1 ? 'once' : `${attempts_total} times`;
  return `It was tried ${times}; the ${attempts_total === 1 ? 'try' : 'last'} of ${exactInstant(last.started_at)} ${how}${why}.`;
}
