/** A campaign's queue in the database itself. */
import { type Rpc, RpcError } from '../rpc/index.ts';
import type { CsvQueue, NamedAccount, RefusedRow } from './import-csv.ts';
import { createDmStore } from './store.ts';

/** The SQLSTATE of `dm_enqueue` for bad rows. */
const BAD_ROWS = 'DM021';

/** Names asked for in one call, each at most so many times among the accounts as one page has rows. */
const NAMES_MAX = 50;
const PAGE = 200;

export function createCsvQueue(rpc: Rpc): CsvQueue {
  return {
    async accountsNamed(names) {
      const found: Array<{ id: string; account_name: string }> = [];
      for (let start = 0; start < names.length; start += NAMES_MAX) {
        const filter = { names: names.slice(start, start + NAMES_MAX) };
        const page = await rpc.call<{ items: typeof found }>('account_list', { filter, limit: PAGE });
        for (const account of page.items) found.push(account);
      }
      return found;
    },
    async everyAccount() {
      const found: NamedAccount[] = [];
      let after: string | null = null;
      do {
        const page: { items: NamedAccount[]; next_cursor: string | null } = await rpc.call('account_list', {
          limit: PAGE,
          after,
        });
        for (const account of page.items) found.push(account);
        after = page.next_cursor;
      } while (after !== null);
      return found;
    },
    async enqueue(rows) {
      try {
        return await createDmStore(rpc).enqueue(rows);
      } catch (error) {
        if (!(error instanceof RpcError) || error.code !== BAD_ROWS) throw error;
        return JSON.parse(error.detail ?? '[]') as RefusedRow[];
      }
    },
  };
}
