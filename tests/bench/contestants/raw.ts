/** undici alone: no queue and no database. What the machine can do at all. */
import type { Enter } from '../contestant.ts';
import { eachOf, plainClient } from '../plain-client.ts';

export const enter: Enter = async (order) => {
  const client = plainClient(order);
  return () =>
    eachOf(order.messageCount, order.concurrency, async (index) => {
      await client.send({ account: `u${index}`, recipient: `ACoAA${index}`, text: `Hello ${index}` });
    });
};
