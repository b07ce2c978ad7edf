/** What an action on many came to, in words. Pure. */
import type { ActionResult } from '../shapes.ts';
import { table } from './table.ts';
import { counted, onOneLine } from './words.ts';

const DONE: Readonly<Record<string, string>> = {
  cancel: 'cancelled',
  retry: 'queued again',
  reschedule: 'rescheduled',
  publish_now: 'set to be published now',
  settle: 'settled',
};

/** What was done, or would be, and what it could not be done to. */
export function actionText(result: ActionResult, noun: string): string {
  const { action, dry_run, matched, changed, refused } = result;
  const done = DONE[action] ?? action;
  const verb = dry_run ? 'would be' : changed === 1 ? 'was' : 'were';
  const sentence = `${counted(changed, noun)} ${verb} ${done}, of ${matched} that matched.`;
  if (refused.length === 0) return sentence;
  const refusals = table(refused, [
    { head: 'Refused', of: ({ id }) => id },
    { head: 'Status', of: ({ status }) => status },
    { head: 'Why', of: ({ problem }) => onOneLine(problem) },
  ]);
  const more = matched - changed - refused.length;
  return [sentence, refusals, ...(more > 0 ? [`… and ${more} more`] : [])].join('\n');
}

const QUESTIONS: Readonly<Record<string, string>> = {
  cancel: 'Cancel',
  retry: 'Queue again',
  reschedule: 'Reschedule',
  publish_now: 'Publish',
  settle: 'Settle',
};

/** The question before many are changed. */
export const actionQuestion = ({ action, changed }: ActionResult, noun: string): string =>
  `${QUESTIONS[action] ?? action} ${counted(changed, noun)}?`;
