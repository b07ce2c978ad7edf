/** This project's way to Postgres itself; a connection that is lost is the end of a measurement. */
import type { Rpc } from '@revos/core/rpc';
import { readDatabaseUrl } from '@revos/core/rpc/database-url';
import { createPostgresRpc } from '@revos/core/rpc/postgres';

export function openDirect(databaseUrl: string): Rpc {
  const address = readDatabaseUrl(databaseUrl);
  if (address === null) throw new Error('not the URL of a database');
  return createPostgresRpc({
    address,
    onConnectionLost: (error) => {
      throw error;
    },
  });
}
