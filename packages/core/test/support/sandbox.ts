import {
  type Action,
  type RequestEntry,
  type Sandbox,
  type SandboxOptions,
  startSandbox,
} from '@revos/unipile-sandbox';
import { request } from 'undici';
import { onTestFinished } from 'vitest';
import { createUnipileV1, type Unipile, type UnipileV1Options } from '../../src/unipile/index.ts';

/** A sandbox that closes with its test. */
export async function sandboxForTest(options: SandboxOptions = {}): Promise<Sandbox> {
  const sandbox = await startSandbox(options);
  onTestFinished(() => sandbox.close());
  return sandbox;
}

/** A client of it that closes with its test. */
export function clientForTest(sandbox: Sandbox, options: Partial<UnipileV1Options> = {}): Unipile {
  const client = createUnipileV1({ dsn: sandbox.url, apiKey: sandbox.apiKey, ...options });
  onTestFinished(() => client.close());
  return client;
}

/**
 * How long a client waits for an answer, in milliseconds of real time: less where none will come,
 * but as long as a request may take to arrive on a machine that is busy, since its effect is asked
 * for afterwards.
 */
export const patienceFor = ({ kind }: Action): number => (kind === 'hang' ? 1_500 : 5_000);

/** What the sandbox was asked, and how many writes of each account it saw at once. */
export async function requestsOf(sandbox: Sandbox): Promise<{
  requests: RequestEntry[];
  writes_in_flight: ReadonlyArray<{ account_id: string; current: number; max: number }>;
}> {
  const { body } = await request(`${sandbox.url}/_control/requests`);
  return (await body.json()) as Awaited<ReturnType<typeof requestsOf>>;
}
