/** This project over the REST API, as on Supabase. */
import { createSupabaseRpc } from '@revos/core/rpc';
import type { Enter } from '../contestant.ts';
import { enterWith } from '../revos.ts';

export const enter: Enter = (order) => {
  if (order.rest === null) throw new Error('needs the REST API');
  return enterWith(createSupabaseRpc(order.rest), order);
};
