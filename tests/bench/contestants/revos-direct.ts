/** This project with DATABASE_URL. */
import { createPostgresRpc, readDatabaseUrl } from '@revos/core/rpc/postgres';
import type { Enter } from '../contestant.ts';
import { enterWith } from '../revos.ts';

export const enter: Enter = (order) => {
  const address = readDatabaseUrl(order.databaseUrl);
  if (address === null) throw new Error('not the URL of a database');
  const onConnectionLost = (error: Error): never => {
    throw error;
  };
  return enterWith(createPostgresRpc({ address, onConnectionLost }), order);
};
