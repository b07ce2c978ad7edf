/** This project with DATABASE_URL. */
import type { Enter } from '../contestant.ts';
import { openDirect } from '../direct.ts';
import { enterWith } from '../revos.ts';

export const enter: Enter = (order) => enterWith(openDirect(order.databaseUrl), order);
