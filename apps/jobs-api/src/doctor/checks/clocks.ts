/** The clock of this machine, against those that it must agree with. */
import type { Context } from '../context.ts';
import { type Finding, ok, skipped, warning, wrong } from '../finding.ts';

/** In milliseconds. A signature is fresh for five minutes, by the clocks of two machines. */
const NOTED_MS = 5_000;
const WRONG_MS = 60_000;

export async function checkClocks(context: Context): Promise<Finding[]> {
  const [database, unipile] = await Promise.all([context.database(), context.unipile()]);
  return [
    compared('the database', database.kind === 'reached' ? database.aheadMs : null),
    compared('Unipile', unipile.kind === 'reached' ? unipile.aheadMs : null),
  ];
}

function compared(whose: string, aheadMs: number | null): Finding {
  const what = `clock against ${whose}`;
  if (aheadMs === null) return skipped(what, `${whose} has told no time`);
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  const found = `this machine is ${seconds} s ${aheadMs > 0 ? 'behind' : 'ahead'}`;
  const remedy = 'set the clock of this machine (NTP); if it is right, tell whoever runs the other one';
  if (Math.abs(aheadMs) > WRONG_MS) return wrong(what, found, remedy);
  return Math.abs(aheadMs) > NOTED_MS ? warning(what, found, remedy) : ok(what, found);
}
