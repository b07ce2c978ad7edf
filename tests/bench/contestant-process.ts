/** The process of one contestant: the first message names it and gives its order, the second starts it. */
import { once } from 'node:events';
import type { Enter, Order, Result } from './contestant.ts';

const [{ name, order }] = (await once(process, 'message')) as [{ name: string; order: Order }];
const { enter } = (await import(`./contestants/${name}.ts`)) as { enter: Enter };
process.once('disconnect', () => process.exit(0));
const race = await enter(order);
process.send?.('ready');
await once(process, 'message');

const cpuBefore = process.cpuUsage();
const startedMs = performance.now();
await race();
const ms = performance.now() - startedMs;
const { user, system } = process.cpuUsage(cpuBefore);
process.send?.({ ms, cpuMs: (user + system) / 1_000 } satisfies Result);
