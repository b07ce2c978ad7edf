/**
 * One Postgres for a whole run of tests, with a migrated template that each file clones.
 *
 * It starts when the first file asks for it, so that a run that needs none waits for none. `POSTGRES_BIN` names the
 * folder of another installation's programs: to see what holds on another version.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import type { TestPostgres } from './postgres-process.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Answers a GET with {@link TestPostgres}, once it runs. */
    readonly testPostgresUrl: string;
  }
}

const PROCESS = path.join(import.meta.dirname, 'postgres-process.ts');

export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  let child: ChildProcess | undefined;
  const start = async (): Promise<TestPostgres> => {
    child = fork(PROCESS);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`it ended with code ${code}`);
    });
    const [postgres] = await Promise.race([once(child, 'message'), ended]);
    // From here on it ends with the run.
    ended.catch(() => {});
    return postgres as TestPostgres;
  };

  let starting: Promise<TestPostgres> | undefined;
  const door = createServer((_request, response) => {
    starting ??= start();
    starting.then(
      (postgres) => response.end(JSON.stringify(postgres)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
  provide('testPostgresUrl', `http://127.0.0.1:${(door.address() as AddressInfo).port}`);

  return async () => {
    door.close();
    door.closeAllConnections();
    await starting?.catch(() => {});
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.disconnect();
    await ended;
  };
}
