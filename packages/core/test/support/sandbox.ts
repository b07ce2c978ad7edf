import { type RequestEntry, type Sandbox, type SandboxOptions, startSandbox } from '@revos/unipile-sandbox';
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

/** What the sandbox was asked, and how many writes of each account it saw at once. */
export async function requestsOf(sandbox: Sandbox): Promise<{
  requests: RequestEntry[];
  writes_in_flight: ReadonlyArray<{ account_id: string; current: number; max: number }>;
}> {
  const { body } = await request(`${sandbox.url}/_control/requests`);
  return (await body.json()) as Awaited<ReturnType<typeof requestsOf>>;
}
