/** The run of `dm-queue`: the messages' outbox, worked on by the machine that all outboxes share. */
import type { JobHandler } from '../jobs/index.ts';
import { runOutbox } from '../sending/index.ts';
import { createDmOutbox } from './dm-outbox.ts';

export const processQueue: JobHandler = (context, services) =>
  runOutbox(createDmOutbox(services), context, services);
