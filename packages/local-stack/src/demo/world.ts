/**
 * The example world: the accounts of `examples/campaign.csv`, their policies, the campaign, and a few posts.
 *
 * The accounts are open around the clock with gaps of a second or two, so that the run ends within a
 * minute. A few things go wrong in it on purpose, as they do in every campaign.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createCsvQueue, importCsv } from '@revos/core/dm';
import { repositoryRoot } from '../repository.ts';
import type { Stack } from './stack.ts';

const CAMPAIGN = path.join(repositoryRoot, 'examples', 'campaign.csv');

const AROUND_THE_CLOCK = {
  window_start: '00:00',
  window_end: '24:00',
  work_days: [1, 2, 3, 4, 5, 6, 7],
  gap_min_s: 1,
  gap_max_s: 2,
};

/** The example's accounts; the last one has sent little so far and is kept to a few messages a day. */
const ACCOUNTS = [
  { name: 'Ada Moreau', policy: { time_zone: 'Europe/Paris' } },
  { name: 'Ben Okafor', policy: { time_zone: 'Africa/Lagos' } },
  { name: 'Clara Lindqvist', policy: { time_zone: 'Europe/Stockholm' } },
  { name: 'Dev Raman', policy: { time_zone: 'Asia/Kolkata', dms_per_day: 12 } },
] as const;

/** Recipients who are no connections: Unipile refuses the message. */
const NOT_CONNECTED_ROWS = [10, 33];

/** A message that reaches LinkedIn, but whose answer is lost on the way back. */
const ANSWER_LOST_ROW = 19;

export interface Loaded {
  readonly messages: number;
  readonly posts: number;
}

/** Makes the accounts, as RevOS would have them, queues the campaign and schedules the posts. */
export async function loadWorld(stack: Stack): Promise<Loaded> {
  const accountIds: string[] = [];
  for (const { name, policy } of ACCOUNTS) {
    const account = stack.sandbox.world.declareAccount({ name });
    const { data, error } = await stack.client
      .from('linkedin_accounts')
      .insert({ account_name: name, unipile_account_id: account.id })
      .select('id')
      .single();
    if (error) throw new Error(`linkedin_accounts: ${error.message}`);
    accountIds.push(data.id as string);
    await stack.rpc.call('account_policy_set', {
      account_id: data.id,
      patch: { ...AROUND_THE_CLOCK, ...policy },
    });
  }

  const text = await readFile(CAMPAIGN, 'utf8');
  const { enqueued, messages } = await importCsv(createCsvQueue(stack.rpc), text);
  const recipients = await recipientsOf(
    stack,
    messages.map(({ id }) => id),
  );
  for (const row of NOT_CONNECTED_ROWS) {
    stack.sandbox.world.declarePerson({ provider_id: recipients[row] ?? '', relation: 'not_connected' });
  }
  stack.sandbox.world.addFaults([
    {
      match: { operation: 'send', recipient_id: recipients[ANSWER_LOST_ROW] ?? '' },
      action: { kind: 'drop_answer' },
    },
  ]);
  return { messages: enqueued, posts: await schedulePosts(stack, accountIds) };
}

async function recipientsOf(stack: Stack, ids: readonly string[]): Promise<readonly string[]> {
  const { data, error } = await stack.client.from('dm_queue').select('id, recipient_id');
  if (error) throw new Error(`dm_queue: ${error.message}`);
  const byId = new Map(data.map((message) => [message.id as string, message.recipient_id as string]));
  return ids.map((id) => byId.get(id) ?? '');
}

/** Posts that are due, each of another account. The answer to the last one is lost on its way back. */
const POSTS = [
  {
    content: 'Six months of shorter meetings, written up with {{0}}. What we kept, and what we dropped.',
    options: { mentions: [{ name: 'Grace Hopper', profile_id: 'ACoAABGrace', is_company: false }] },
  },
  {
    content: 'Our notes on pricing for small teams are out.',
    options: { external_link: 'https://example.com/pricing-notes' },
  },
  { content: 'We are hiring a support engineer in Stockholm. It is a calm team.', options: {} },
] as const;

const LOST_POST = 'We are hiring';

async function schedulePosts(stack: Stack, accountIds: readonly string[]): Promise<number> {
  for (const [index, { content, options }] of POSTS.entries()) {
    const { data, error } = await stack.client
      .from('posts')
      .insert({
        linkedin_account_id: accountIds[index],
        content,
        status: 'scheduled',
        scheduled_for: new Date().toISOString(),
      })
      .select('id')
      .single();
    if (error) throw new Error(`posts: ${error.message}`);
    if (Object.keys(options).length > 0) {
      await stack.rpc.call('post_options_set', { post_id: data.id, patch: options });
    }
  }
  stack.sandbox.world.addFaults([
    { match: { operation: 'create_post', text_contains: LOST_POST }, action: { kind: 'drop_answer' } },
  ]);
  return POSTS.length;
}
