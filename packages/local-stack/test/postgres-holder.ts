/**
 * A process that starts a server, tells of it, and then ends as its argument says: `wait` (until it
 * is killed), `exit` (the event loop runs dry), `crash` (an error nobody catches).
 */

import { startPostgres } from '../src/postgres.ts';

const postgres = await startPostgres();
process.stdout.write(`${JSON.stringify({ pid: postgres.pid(), url: postgres.connectionString })}\n`);

const ending = process.argv[2];
if (ending === 'wait') process.stdin.resume();
if (ending === 'crash') throw new Error('nobody catches this');
