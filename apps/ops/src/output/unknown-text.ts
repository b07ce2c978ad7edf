/** What may have reached LinkedIn, in words. Pure. */
import { reasonInWords } from '@revos/core/sending';
import { table, textCell } from './table.ts';
import { exactInstant, onOneLine } from './words.ts';

export interface UnknownRow {
  readonly kind: 'message' | 'post';
  readonly row: { readonly id: string; readonly account_name: string | null };
  readonly explanation: { readonly reason: string | null; readonly next_read_at: string | null };
}

export function unknownsTable(rows: readonly UnknownRow[]): string {
  if (rows.length === 0) return 'Nothing is unknown.';
  return table(rows, [
    { head: 'Unknown', of: ({ row }) => row.id },
    { head: 'Kind', of: ({ kind }) => kind },
    { head: 'Account', of: ({ row }) => textCell(row.account_name) },
    {
      head: 'Why',
      of: ({ explanation: { reason } }) => (reason === null ? null : onOneLine(reasonInWords(reason))),
      width: 44,
    },
    {
      head: 'Looked for next',
      of: ({ explanation: { next_read_at } }) =>
        next_read_at === null ? 'never: a person decides' : exactInstant(next_read_at),
    },
  ]);
}
