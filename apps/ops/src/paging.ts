/** Lists by pages. */
import type { PageOf } from './shapes.ts';
import type { Terminal } from './terminal.ts';

export interface PagingOptions {
  readonly limit?: number;
  readonly cursor?: string;
}

export const pagingOf = ({ limit, cursor }: PagingOptions): PagingOptions => ({
  ...(limit === undefined ? {} : { limit }),
  ...(cursor === undefined ? {} : { cursor }),
});

/** Says how to go on, if there is more. A script finds the cursor in the answer. */
export function noteNextPage(terminal: Terminal, page: PageOf<unknown>): void {
  if (page.next_cursor !== null && !terminal.json)
    terminal.note(`There are more: --cursor ${page.next_cursor}`);
}
