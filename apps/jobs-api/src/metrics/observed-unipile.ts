/** Unipile, with how long its calls take, what their answers are, and how many are under way. */
import type { Effects } from '@revos/core/effects';
import type { Failure, FailureKind, Unipile } from '@revos/core/unipile';
import type { Meters, Operation } from './meters.ts';

/** What a failure says to who looks at a graph: whose trouble it is. */
const CLASS_OF: Readonly<Record<FailureKind, string>> = {
  unreachable: 'unreachable',
  throttled: 'throttled',
  account_disconnected: 'account',
  account_restricted: 'account',
  account_missing: 'account',
  platform_key: 'platform_key',
  chat_missing: 'refused',
  not_connected: 'refused',
  recipient: 'refused',
  recipient_later: 'refused',
  rejected: 'refused',
  gateway: 'gateway',
  ambiguous: 'ambiguous',
};

export function observeUnipile(
  unipile: Unipile,
  meters: Meters,
  effects: Pick<Effects, 'monotonicMs'>,
): Unipile {
  const observed = async <Answer extends { readonly ok: true } | Failure>(
    operation: Operation,
    call: () => Promise<Answer>,
  ): Promise<Answer> => {
    const beganMs = effects.monotonicMs();
    // What throws is a fault of ours, and may have been made: nobody knows.
    let outcome = 'ambiguous';
    meters.callsInFlight.inc({ operation });
    try {
      const answer = await call();
      outcome = answer.ok ? 'ok' : CLASS_OF[answer.kind];
      return answer;
    } finally {
      meters.callsInFlight.dec({ operation });
      meters.unipileCalls.observe({ operation, outcome }, (effects.monotonicMs() - beganMs) / 1_000);
    }
  };

  return {
    sendMessage: (request) => observed('send_message', () => unipile.sendMessage(request)),
    createPost: (request) => observed('create_post', () => unipile.createPost(request)),
    findMessage: (request) => observed('find_message', () => unipile.findMessage(request)),
    findPost: (request) => observed('find_post', () => unipile.findPost(request)),
    readPost: (request) => observed('read_post', () => unipile.readPost(request)),
    close: () => unipile.close(),
  };
}
