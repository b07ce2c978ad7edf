/** `ops dm import`: queues a campaign from a CSV file, as a whole or not at all. */
import { readFile } from 'node:fs/promises';
import { buffer as readAll } from 'node:stream/consumers';
import { ENQUEUE_BYTES_MAX } from '@revos/core/admin';
import { CsvImportError, type CsvQueue, importCsv, type RefusedRow } from '@revos/core/dm';
import { JobsApiError, type JobsClient } from '@revos/jobs-client';
import type { Command } from 'commander';
import { accountsNamed, everyAccount } from '../accounts.ts';
import type { Action, Cli } from '../cli-context.ts';
import { examples, nonEmpty } from '../command-line.ts';
import { EXIT, type ExitCode, UsageError } from '../exit-codes.ts';
import { counted, printable } from '../output/words.ts';
import type { EnqueueMessages } from '../shapes.ts';

export function addImportCommand(dm: Command, action: Action): void {
  dm.command('import')
    .description('Queue every message of a CSV file, or none of them.')
    .argument('<file>', 'a CSV file in UTF-8 or UTF-16; - for standard input', nonEmpty)
    .addHelpText(
      'after',
      `
Columns: account (its name), recipient_id, message; and send_at, priority, dedupe_key, chat_id, campaign_id,
lead_id, is_literal where there are such. Columns are separated by commas, or as the first line says (sep=;). A row
whose dedupe_key is known already is the message that exists, so that a file may be imported again; with another
account, recipient or text it is refused. Where a text says to somebody what was said already, that is noted.
is_literal is true where what looks like a placeholder is meant.
${examples('dm import examples/campaign.csv')}`,
    )
    .action(action(importFile));
}

async function importFile({ terminal, api, io }: Cli, file: string): Promise<ExitCode> {
  const content = file === '-' ? await readAll(io.stdin) : await readContent(file);
  try {
    const answer = await importCsv(apiQueue(api), content);
    terminal.answer(answer, () => {
      const existing =
        answer.existing === 0 ? '' : ` ${counted(answer.existing, 'message')} existed already.`;
      return `${counted(answer.enqueued, 'message')} queued.${existing}`;
    });
    for (const { line, field, problem } of answer.notes) {
      terminal.note(printable(`Line ${line}, ${field}: ${problem}.`));
    }
    if (answer.repeated > answer.notes.length) {
      terminal.note(`${answer.repeated} messages in all say the same to the same person as another one.`);
    }
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof CsvImportError)) throw error;
    if (terminal.json) terminal.answer({ problems: error.problems }, () => '');
    terminal.note(printable(error.message));
    return EXIT.unhealthy;
  }
}

async function readContent(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new UsageError(`The file cannot be read: ${(error as Error).message}`);
  }
}

/** The field of a row that the API refuses. */
const ROW_FIELD = /^messages\/(\d+)(?:\/(.+))?$/;

/** A queue behind the API. */
function apiQueue(api: JobsClient): CsvQueue {
  return {
    // Where the API would refuse what is longer, it may close the connection before it says so.
    bytesMax: ENQUEUE_BYTES_MAX,
    accountsNamed: (names) => accountsNamed(api, names),
    everyAccount: () => everyAccount(api),
    async enqueue(rows) {
      try {
        // What is wrong with a row is the API's to say: it names every field of every row.
        const body = { messages: rows } as unknown as EnqueueMessages;
        return await api.post('/api/messages', { body });
      } catch (error) {
        if (!(error instanceof JobsApiError)) throw error;
        const refused = error.errors.map(refusedRow);
        if (refused.length === 0 || refused.includes(null)) throw error;
        return refused as readonly RefusedRow[];
      }
    },
  };
}

/** Null if it is not about a row. */
function refusedRow({ field, message, ...twin }: JobsApiError['errors'][number]): RefusedRow | null {
  const [, row, name] = ROW_FIELD.exec(field) ?? [];
  return row === undefined ? null : { row: Number(row), field: name ?? null, problem: message, ...twin };
}
