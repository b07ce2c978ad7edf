/**
 * One Postgres for a whole run of tests, with a migrated template that each file clones.
 *
 * It starts when the first file asks for it, so that a run that needs none waits for none.
 * `POSTGRES_BIN` names the folder of another installation's programs: to see what holds on another
 * version.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { type Child, startChild } from './child.ts';
import type { TestPostgres } from './postgres-process.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Answers a GET with {@link TestPostgres}, once it runs. */
    readonly testPostgresUrl: string;
  }
}

export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  let child: Child | undefined;
  const start = (): Promise<TestPostgres> => {
    child = startChild('support/postgres-process.ts');
    return child.ask<TestPostgres>({});
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
    // Whoever asked has heard of its failure.
    await starting?.catch(() => {});
    await child?.end();
  };
}
