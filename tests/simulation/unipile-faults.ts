/** The faults of Unipile and LinkedIn, as the sandbox's own, at the rates of a plan. */
import type { Action, Fault, Match } from '@revos/unipile-sandbox';
import { MINUTE_MS } from '../support/builders.ts';
import type { Random } from '../support/random.ts';
import type { FaultName, Faults } from './plan.ts';

const WRITES: readonly Match['operation'][] = ['send', 'create_post'];
const READS: readonly Match['operation'][] = ['read'];

/**
 * The longest delay before a message or a post is visible; an absence is believed after 30 minutes.
 */
const VISIBLE_LATE_MS_MAX = 25 * MINUTE_MS;

const error = (status: number, type: string, effect = false, retryAfterS?: number): Action => ({
  kind: 'status',
  status,
  type: `errors/${type}`,
  effect,
  ...(retryAfterS === undefined ? {} : { retry_after_s: retryAfterS }),
});

/** Each with the name of the fault that it injects. */
export function unipileFaults(faults: Faults, random: Random): Array<readonly [FaultName, Fault]> {
  const serverError = (effect: boolean): Action =>
    random.pick([
      error(500, 'unexpected_error', effect),
      error(502, 'bad_gateway', effect),
      error(503, 'service_unavailable', effect),
      error(503, 'network_down', effect),
      error(504, 'request_timeout', effect),
      error(408, 'request_timeout', effect),
      error(409, 'conflict', effect),
      error(425, 'too_early', effect),
      error(422, 'provider_unreachable', effect),
      error(422, 'action_already_performed', effect),
    ]);
  const actions: ReadonlyArray<readonly [FaultName, readonly Match['operation'][], Action]> = [
    ['answer lost', WRITES, { kind: 'drop_answer' }],
    ['answer cut', WRITES, { kind: 'reset_mid_answer', effect: random.chance(0.7) }],
    ['answer unreadable', WRITES, { kind: 'malformed_body' }],
    [
      'answer without ids',
      WRITES,
      { kind: 'null_ids', which: random.pick(['message_id', 'post_id', 'all', 'chat_id']) },
    ],
    [
      'answer with bad ids',
      WRITES,
      { kind: 'bad_ids', how: random.pick(['nul', 'half_surrogate', 'too_long']) },
    ],
    [
      'answer is a redirect',
      WRITES,
      {
        kind: 'redirect',
        status: random.pick([301, 302, 303, 307, 308]),
        location: '/elsewhere',
        effect: random.chance(0.5),
      },
    ],
    [
      'answer is HTML',
      WRITES,
      { kind: 'html_body', status: random.pick([200, 502]), effect: random.chance(0.5) },
    ],
    ['no answer, sent', WRITES, { kind: 'hang', effect: true }],
    ['no answer, not sent', WRITES, { kind: 'hang', effect: false }],
    ['error, sent', WRITES, serverError(true)],
    ['error, not sent', WRITES, serverError(false)],
    [
      'throttled',
      WRITES,
      random.pick([
        error(429, 'too_many_requests'),
        error(429, 'too_many_requests', false, 600),
        error(429, 'too_many_requests', false, 0),
        error(429, 'too_many_requests', false, 604_800),
        error(422, 'cannot_resend_yet'),
        error(422, 'limit_exceeded'),
      ]),
    ],
    [
      'recipient refused',
      WRITES,
      random.pick([
        error(422, 'invalid_recipient'),
        error(422, 'blocked_recipient'),
        error(400, 'invalid_parameters'),
      ]),
    ],
    ['recipient not connected', ['send'], error(422, 'no_connection_with_recipient')],
    [
      'recipient deferred',
      ['send'],
      random.pick([error(422, 'cannot_resend_within_24hrs'), error(422, 'insufficient_credits')]),
    ],
    ['chat not found', ['send_message'], error(404, 'resource_not_found')],
    [
      'chat unusable',
      ['send_message'],
      random.pick([error(403, 'account_mismatch'), error(422, 'cant_send_message')]),
    ],
    [
      'gateway refuses',
      WRITES,
      { kind: 'html_body', status: random.pick([400, 401, 403, 404, 422]), effect: false },
    ],
    ['account not found', ['start_chat', 'create_post'], error(404, 'resource_not_found')],
    [
      'account signed out',
      WRITES,
      { kind: 'account_status', status: 'CREDENTIALS', when: random.pick(['before', 'after']) },
    ],
    [
      'account restricted',
      WRITES,
      random.pick([
        error(403, 'account_restricted'),
        error(403, 'action_required'),
        error(401, 'disconnected_account'),
        error(407, 'proxy_error'),
      ]),
    ],
    ['API key refused', WRITES, error(401, 'missing_credentials')],
    ['visible late', WRITES, { kind: 'late_visibility', ms: random.integer(1_000, VISIBLE_LATE_MS_MAX) }],
    [
      'read failed',
      READS,
      random.pick([serverError(false), error(429, 'too_many_requests'), { kind: 'drop_answer' }]),
    ],
    ['read hangs', READS, { kind: 'hang', effect: false }],
  ];
  return actions
    .filter(([name]) => faults[name] > 0)
    .flatMap(([name, operations, action]) =>
      operations.map(
        (operation) =>
          [name, { match: { operation }, action, times: null, probability: faults[name] }] as const,
      ),
    );
}
