/**
 * The scripted faults, and which of them strike a request.
 *
 * Faults are tried in the order they were added. A request is struck by the first that decides its
 * answer, and besides by the first latency, the first late visibility and the first status flip.
 */
import type { ActionOf, Fault, FaultReport, Match } from '../faults.ts';
import { tooMany } from '../shape.ts';

const FAULTS_MAX = 1_000;

/** `manage` (accounts, webhooks) is matched by `any` alone. */
export type Operation = 'start_chat' | 'send_message' | 'create_post' | 'invite' | 'read' | 'manage';

/** What a fault may look at. */
export interface Candidate {
  readonly operation: Operation;
  readonly accountId: string | null;
  readonly recipients: readonly string[];
  readonly text: string | null;
}

export type Decisive = ActionOf<
  | 'drop_answer'
  | 'reset_before'
  | 'reset_mid_answer'
  | 'hang'
  | 'status'
  | 'redirect'
  | 'null_ids'
  | 'bad_ids'
  | 'malformed_body'
  | 'html_body'
>;

/** What strikes one request. */
export interface Strike {
  decisive?: Decisive;
  latency?: ActionOf<'latency'>;
  lateVisibility?: ActionOf<'late_visibility'>;
  accountStatus?: ActionOf<'account_status'>;
}

export interface FaultPlan {
  /** @returns ids, in the order given @throws {DeclarationError} beyond 1,000 faults */
  add(faults: readonly Fault[]): string[];
  list(): FaultReport[];
  clear(): void;
  /** What strikes this request; counts it. */
  draw(candidate: Candidate): Strike;
}

interface Entry {
  readonly id: string;
  readonly fault: Fault;
  matched: number;
  hits: number;
}

/** @param random uniform in [0, 1), drawn only for faults with a probability */
export function createFaultPlan(random: () => number, nextId: () => string): FaultPlan {
  let entries: Entry[] = [];
  return {
    add(faults) {
      if (entries.length + faults.length > FAULTS_MAX) throw tooMany('faults', FAULTS_MAX);
      const added = faults.map((fault): Entry => ({ id: nextId(), fault, matched: 0, hits: 0 }));
      entries = [...entries, ...added];
      return added.map(({ id }) => id);
    },
    list: () => entries.map(({ id, fault, matched, hits }) => ({ ...fault, id, matched, hits })),
    clear() {
      entries = [];
    },
    draw(candidate) {
      const strike: Strike = {};
      for (const entry of entries) {
        const slot = slotOf(entry.fault);
        if (strike[slot] === undefined && strikes(entry, candidate, random)) {
          Object.assign(strike, { [slot]: entry.fault.action });
        }
      }
      return strike;
    },
  };
}

function slotOf({ action }: Fault): keyof Strike {
  if (action.kind === 'latency') return 'latency';
  if (action.kind === 'late_visibility') return 'lateVisibility';
  return action.kind === 'account_status' ? 'accountStatus' : 'decisive';
}

function strikes(entry: Entry, candidate: Candidate, random: () => number): boolean {
  const { match, times = 1, skip = 0, probability } = entry.fault;
  if (times !== null && entry.hits >= times) return false;
  if (!matches(match, candidate)) return false;
  entry.matched += 1;
  if (entry.matched <= skip) return false;
  if (probability !== undefined && random() >= probability) return false;
  entry.hits += 1;
  return true;
}

function matches(match: Match, candidate: Candidate): boolean {
  const { operation } = candidate;
  const isSend = operation === 'start_chat' || operation === 'send_message';
  return (
    (match.operation === 'any' || match.operation === operation || (match.operation === 'send' && isSend)) &&
    (match.account_id === undefined || match.account_id === candidate.accountId) &&
    (match.recipient_id === undefined || candidate.recipients.includes(match.recipient_id)) &&
    (match.text_contains === undefined || (candidate.text?.includes(match.text_contains) ?? false))
  );
}
