/** How far a restore has come, in words. Pure. */
import type { Restore } from '../shapes.ts';
import { table } from './table.ts';
import { counted, exactInstant } from './words.ts';

/** What was marked, or would be; what became of it; and what is to be done next. */
export function restoreText(restore: Restore): string {
  const { restored_to, marked_at, is_marked, suspected, unknown_before, assumed, last_attempt_at } = restore;
  const since = exactInstant(restored_to);
  const known = `The latest call to Unipile that the database knows: ${exactInstant(last_attempt_at)}.`;
  const could = `${counted(suspected.messages, 'message')} and ${counted(suspected.posts, 'post')} could have gone out since ${since}`;
  if (marked_at === null) return [`${could}.`, known].join('\n');
  const marked = `All that could have gone out since ${since} ${is_marked ? 'is marked' : 'is being marked'}; all sending ${
    restore.paused ? 'is paused' : 'goes on'
  }.`;
  return [
    marked,
    ...(is_marked ? [] : [`${could} and is not marked yet: give the same command again.`]),
    progressTable(restore),
    `${counted(unknown_before, 'attempt')} that had been unknown before began anew. ${counted(assumed, 'message')} that may have been sent and stand in no row any more count against the limits.`,
    known,
    ...(is_marked ? whatToDo(restore) : []),
  ].join('\n');
}

function progressTable({ messages, posts }: Restore): string {
  const rows = [
    { kind: 'messages', ...messages },
    { kind: 'posts', ...posts },
  ];
  return table(rows, [
    { head: '', of: ({ kind }) => kind },
    { head: 'Looked for', of: ({ looked_for }) => String(looked_for) },
    { head: 'On LinkedIn', of: ({ sent }) => String(sent) },
    { head: 'Not there', of: ({ released }) => String(released) },
    { head: 'Held', of: ({ held }) => String(held) },
  ]);
}

function whatToDo({ restored_to, paused, messages, posts, next_read_at }: Restore): string[] {
  const left = messages.looked_for + posts.looked_for;
  const held = messages.held + posts.held;
  return [
    ...(left > 0
      ? [
          `LinkedIn is looked at by every run of reconcile, next at ${exactInstant(next_read_at)}; an absence is believed after 30 minutes. See how far it is: ops restored --to ${restored_to}`,
        ]
      : []),
    ...(held > 0
      ? ['What is held, a person settles: ops unknowns, then ops settle <id> sent, resend or drop.']
      : []),
    ...(left === 0 && paused
      ? ['All has been looked for. Do again what was paused or cancelled since, then: ops resume --all']
      : []),
  ];
}

export const restoreQuestion = ({ restored_to, suspected }: Restore): string =>
  `Pause all sending, and look on LinkedIn for ${counted(suspected.messages, 'message')} and ${counted(suspected.posts, 'post')} since ${exactInstant(restored_to)}?`;
