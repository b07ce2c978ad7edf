/** Alerts to a channel of Slack, by an incoming webhook. */
import { inUtc } from '../verdict/index.ts';
import type { Channel, Notice } from './channel.ts';
import { type Http, send } from './send.ts';

/** Ids that a message names; the rest is counted. */
const SUBJECTS_MAX = 5;

export function slackChannel(url: string, http: Http): Channel {
  return {
    name: 'slack',
    tell: (notice) =>
      send(
        url,
        {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ text: slackText(notice) }),
        },
        http,
      ),
  };
}

/** In Slack's own markup. */
export function slackText({ event, alert }: Notice): string {
  const { code, sentence, why, what_to_do, since, opened_at, ended_at } = alert;
  if (event === 'ended') {
    const ended = ended_at === null ? '' : `, until ${inUtc(ended_at)}`;
    return `:white_check_mark: *Over:* ${escaped(sentence)}\nFrom ${inUtc(opened_at)}${ended} (${code})`;
  }
  return [
    `:red_circle: *${escaped(sentence)}*`,
    ...(why === null ? [] : [escaped(why)]),
    ...(what_to_do === null ? [] : [`*What to do:* ${escaped(what_to_do)}`]),
    `Since ${inUtc(since ?? opened_at)} (${code})${subjectsOf(alert)}`,
  ].join('\n');
}

function subjectsOf({ subjects }: Notice['alert']): string {
  if (subjects.length === 1 && subjects[0] === 'system') return '';
  const others = subjects.length - SUBJECTS_MAX;
  const named = subjects.slice(0, SUBJECTS_MAX).map((subject) => `\`${escaped(subject)}\``);
  return `: ${named.join(', ')}${others > 0 ? `, and ${others} more` : ''}`;
}

/**
 * The three characters that have a meaning in a text for Slack: without them nobody is mentioned
 * and nothing is linked.
 */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
