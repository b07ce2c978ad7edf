/**
 * Makes what databases on PGlite start from, once: the processes of tests that begin together would
 * each make their own.
 */
import { openPglite, startSupabase } from '../packages/local-stack/src/index.ts';

for (const open of [openPglite, () => startSupabase({ connection: {} })]) {
  const database = await open();
  await database.close();
}
