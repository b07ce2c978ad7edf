/** The same with a connection for each call, as this project makes them, so that a lost call is never sent twice. */
import type { Enter } from '../contestant.ts';
import { eachOf, plainClient } from '../plain-client.ts';

export const enter: Enter = async (order) => {
  const client = plainClient(order, false);
  return () =>
    eachOf(order.messageCount, order.concurrency, async (index) => {
      await client.send({ account: `u${index}`, recipient: `ACoAA${index}`, text: `Hello ${index}` });
    });
};
