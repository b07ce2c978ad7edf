/** The workload: what people, RevOS and LinkedIn do during a simulation, hour by hour. */
import { findJob } from '@revos/core/registry';
import { RpcError } from '@revos/core/rpc';
import type { World } from '@revos/unipile-sandbox';
import { randomPolicy } from '../property/world.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, type PolicyFields } from '../support/builders.ts';
import type { Random } from '../support/random.ts';
import { executeCall, type SimulatedDatabase } from './database.ts';
import type { InvariantChecker } from './invariants.ts';
import type { Machine } from './machine.ts';
import type { FaultName, Plan, PlannedAccount, PlannedMessage } from './plan.ts';
import type { Timeline } from './timeline.ts';
import type { RecordEvent } from './trace.ts';

export interface WorkloadParts {
  readonly plan: Plan;
  readonly timeline: Timeline;
  readonly database: SimulatedDatabase;
  readonly world: World;
  readonly machines: readonly Machine[];
  readonly random: Random;
  readonly shouldInject: (name: FaultName) => boolean;
  readonly invariants: InvariantChecker;
  readonly record: RecordEvent;
}

const dmQueue = findJob('dm-queue');

/** How long a person waits after an attempt before believing that nothing of it is on LinkedIn. */
const ABSENCE_BELIEVED_MS = 70 * MINUTE_MS;

export interface Workload {
  /** Schedules what the plan enqueues, and what happens each hour. */
  start(): void;
  /** Repairs what people can: pauses, disconnected accounts, the database. */
  repair(): Promise<void>;
}

type Call = (name: string, args: Readonly<Record<string, unknown>>) => Promise<void>;

export function createWorkload(parts: WorkloadParts): Workload {
  const { plan, timeline, database, world, random, record } = parts;

  /** A person's call. One that a rule refuses was a mistake, and does nothing. */
  const call: Call = async (name, args) => {
    if (database.isDown) return;
    try {
      record(`person: ${name}${'action' in args ? ` ${args.action}` : ''}`);
      await executeCall(database, timeline.now(), name, args);
    } catch (error) {
      if (!(error instanceof RpcError) || error.kind !== 'rule') throw error;
    }
  };
  const query = (text: string, values: readonly unknown[] = []) => database.session.query(text, values);

  const reconnect = async (account: PlannedAccount): Promise<void> => {
    world.setAccountStatus(account.unipileId, 'OK');
    await query(`update public.linkedin_accounts set status = 'active' where id = $1`, [account.id]);
    record('account reconnected', account.unipileId);
  };

  const hourlyFaults = hourlyFaultsOf(parts, call, query);

  const passHour = async (): Promise<void> => {
    for (const [name, inject] of Object.entries(hourlyFaults) as [FaultName, () => unknown][]) {
      if (parts.shouldInject(name)) await inject();
    }
    for (const account of plan.accounts) {
      const isDisconnected = world
        .accounts()
        .some(({ id, status }) => id === account.unipileId && status !== 'OK');
      if (isDisconnected && random.chance(0.15)) await reconnect(account);
      if (random.chance(0.04)) await call('account_resume', { account_id: account.id, actor: 'ada' });
    }
    if (random.chance(0.05)) await call('sending_resume', { actor: 'ada' });
    if (timeline.nowMs < plan.recoveryStartMs)
      timeline.schedule(random.integer(30, 90) * MINUTE_MS, passHour);
  };

  return {
    start() {
      for (const account of plan.accounts) {
        for (const [index, message] of account.messages.entries()) {
          timeline.schedule(message.queuedAtMs - plan.startMs, () => enqueue(account, message, index));
        }
      }
      timeline.schedule(random.integer(1, 60) * MINUTE_MS, passHour);
    },
    async repair() {
      database.isDown = false;
      for (const account of plan.accounts) {
        await reconnect(account);
        await call('account_resume', { account_id: account.id, actor: 'ada' });
      }
      await call('sending_resume', { actor: 'ada' });
      // Started by a machine whose clock was ahead: it would run for as long as that.
      const endless = await query(
        `select id from public.job_runs
         where status in ('queued', 'running') and horizon_at > $1::timestamptz + interval '1 hour' order by requested_at, job`,
        [timeline.now().toISOString()],
      );
      for (const { id } of endless) await call('run_cancel', { id, requested_by: 'ada' });
    },
  };

  /** The chat in which the recipient has just replied. */
  function chatOf(account: PlannedAccount, { recipient }: PlannedMessage): string {
    record('reply received', account.unipileId);
    return world.receiveMessage({ account_id: account.unipileId, person_id: recipient, text: 'Tell me more' })
      .chatId;
  }

  /** Retried until it succeeds: RevOS does not lose a message, and may enqueue it twice. */
  async function enqueue(account: PlannedAccount, message: PlannedMessage, index: number): Promise<void> {
    if (database.isDown) return void timeline.schedule(MINUTE_MS, () => enqueue(account, message, index));
    const row = {
      linkedin_account_id: account.id,
      recipient_id: message.recipient,
      message: message.text,
      priority: message.priority,
      dedupe_key: `${account.id}-${index}`,
      ...(message.isReply ? { chat_id: chatOf(account, message) } : {}),
      ...(message.sendAtMs === null ? {} : { send_at: new Date(message.sendAtMs).toISOString() }),
    };
    await executeCall(database, timeline.now(), 'dm_enqueue', { rows: [row] });
    if (parts.shouldInject('enqueued twice')) {
      timeline.schedule(random.integer(0, 2) * HOUR_MS, () => call('dm_enqueue', { rows: [row] }));
    }
  }
}

function hourlyFaultsOf(
  { plan, timeline, database, world, machines, random, invariants, record }: WorkloadParts,
  call: Call,
  query: (text: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>,
): Partial<Record<FaultName, () => unknown>> {
  const account = (): PlannedAccount => random.pick(plan.accounts);
  const machine = (): Machine => random.pick(machines);
  const soon = (ms: number): string => new Date(timeline.nowMs + random.next() * ms).toISOString();

  /** Mostly one that the action is allowed on; now and then any, where it may be refused. */
  const messageWith = async (status: string) => {
    const rows = await query(
      `select id, message as text, (select max(finished_at) from public.dm_attempts where message_id = id) as ended_at
       from public.dm_queue where $1 = 'any' or status = $1 order by position`,
      [random.chance(0.25) && status !== 'unknown' ? 'any' : status],
    );
    return rows.length === 0 ? null : random.pick(rows);
  };
  const act = (
    name: 'dm_act' | 'post_act',
    action: string,
    id: unknown,
    args: Record<string, unknown> = {},
  ) => call(name, { action, selection: { ids: [id] }, args, dry_run: false, actor: 'ada' });
  const onMessage = async (
    status: string,
    action: string,
    args: Record<string, unknown> = {},
  ): Promise<void> => {
    const message = await messageWith(status);
    if (message !== null) await act('dm_act', action, message.id, args);
  };

  /** A person looks at LinkedIn, long enough after the attempt to believe an absence. */
  const decide = (text: string, endedAt: unknown): string | null => {
    if (random.chance(0.2) || invariants.hasTwin(text)) return 'drop';
    if (timeline.nowMs - new Date(String(endedAt)).getTime() < ABSENCE_BELIEVED_MS) return null;
    return invariants.isAccountedFor(text) ? 'resend' : 'sent';
  };

  /** The person may settle it some time after looking. */
  const settle = (name: 'dm_act' | 'post_act', id: unknown, decision: string): void => {
    const lookedAt = timeline.now().toISOString();
    timeline.schedule(random.pick([0, 0, MINUTE_MS, 2 * HOUR_MS]), () =>
      act(name, 'settle', id, { decision, looked_at: lookedAt }),
    );
  };

  return {
    'database down': () => {
      record('database down');
      database.isDown = true;
      timeline.schedule(random.integer(1, 40) * MINUTE_MS, () => {
        database.isDown = false;
      });
    },
    deploy: () => machine().deploy(),
    'clock jump': () =>
      machine().setClock(
        random.pick([0, random.integer(-DAY_MS, DAY_MS), random.integer(-300_000, 300_000)]),
      ),
    'account disconnected': async () => {
      const { id, unipileId } = account();
      record('account disconnected', unipileId);
      world.setAccountStatus(unipileId, random.pick(['CREDENTIALS', 'STOPPED', 'ERROR']));
      // RevOS may notice, or not.
      if (random.chance(0.5)) {
        await query(`update public.linkedin_accounts set status = 'expired' where id = $1`, [id]);
      }
    },
    'manual run': async () => {
      const runs = machine().runs();
      if (runs === null || dmQueue === undefined) return;
      const params = random.chance(0.5) ? {} : { account_ids: [account().id], limit: random.integer(1, 5) };
      const request = {
        job: dmQueue,
        trigger: 'ops',
        scheduledFor: null,
        requestedBy: 'ada',
        params,
      } as const;
      // Its answer may be lost with the database's: the person sees an error, and tries again later.
      runs.start(request).catch((error: unknown) => {
        if (!(error instanceof RpcError) || error.kind === 'bug') throw error;
      });
    },
    'run cancelled': async () => {
      const rows = await query(
        `select id from public.job_runs where status in ('queued', 'running') order by requested_at, job`,
      );
      if (rows.length > 0) await call('run_cancel', { id: random.pick(rows).id, requested_by: 'ada' });
    },
    'message cancelled': () => onMessage('pending', 'cancel'),
    'message retried': () => onMessage('failed', 'retry'),
    'message rescheduled': () => onMessage('pending', 'reschedule', { send_at: soon(DAY_MS) }),
    'unknown settled': async () => {
      const message = await messageWith('unknown');
      const decision = message === null ? null : decide(String(message.text), message.ended_at);
      if (decision !== null) settle('dm_act', message?.id, decision);
    },
    'account paused': () =>
      call('account_pause', {
        account_id: account().id,
        reason: 'holiday',
        until: soon(6 * HOUR_MS),
        actor: 'ada',
      }),
    'all sending paused': () =>
      call('sending_pause_set', { reason: 'a look at things', until: soon(3 * HOUR_MS), actor: 'ada' }),
    'policy edited': async () => {
      const { id, policy } = account();
      const {
        time_zone: _,
        warm_up_from: __,
        ...patch
      } = randomPolicy(random, policy.time_zone, timeline.nowMs);
      await call('account_policy_set', { account_id: id, patch: patch satisfies Partial<PolicyFields> });
    },
    'post acted on': async () => {
      const rows = await query(
        `select post.id, post.content as text, publication.state,
           (select max(finished_at) from public.post_attempts as attempt where attempt.post_id = post.id) as ended_at
         from public.posts as post left join public.post_publications as publication on publication.post_id = post.id
         order by post.content`,
      );
      if (rows.length === 0) return;
      const post = random.pick(rows);
      if (post.state === 'unknown') {
        const decision = decide(String(post.text), post.ended_at);
        if (decision !== null) settle('post_act', post.id, decision);
        return;
      }
      const action = random.pick(['publish_now', 'retry', 'cancel', 'reschedule']);
      const args = action === 'reschedule' ? { scheduled_for: soon(DAY_MS) } : {};
      await act('post_act', action, post.id, args);
    },
    'post edited': async () => {
      const set = random.pick([
        `status = 'draft'`,
        `status = 'scheduled'`,
        `scheduled_for = scheduled_for + interval '1 hour'`,
        `updated_at = updated_at`,
      ]);
      await query(
        `update public.posts set ${set} where id = (
           select id from public.posts where status in ('draft', 'scheduled') order by md5(content || $1) limit 1)`,
        [String(random.next())],
      );
    },
  };
}
