/** Reads server-sent events from a response, one at a time. */
import type { Readable } from 'node:stream';

export interface ServerSentEvent {
  readonly id: string | null;
  readonly event: string | null;
  readonly data: string;
}

export interface EventReader {
  /** The next event; null once the stream has ended. */
  next(): Promise<ServerSentEvent | null>;
  /** Resolves with the next comment. */
  comment(): Promise<string | null>;
  /** Every event until the stream ends. */
  rest(): Promise<ServerSentEvent[]>;
}

export function readEvents(stream: Readable): EventReader {
  const blocks = blocksOf(stream);

  const nextBlock = async (isComment: boolean): Promise<string | null> => {
    for (;;) {
      const { done, value } = await blocks.next();
      if (done) return null;
      if (value.startsWith(':') === isComment) return value;
    }
  };
  const next = async (): Promise<ServerSentEvent | null> => {
    const block = await nextBlock(false);
    return block === null ? null : parse(block);
  };

  return {
    next,
    comment: () => nextBlock(true),
    async rest() {
      const events: ServerSentEvent[] = [];
      for (let event = await next(); event !== null; event = await next()) events.push(event);
      return events;
    },
  };
}

async function* blocksOf(stream: Readable): AsyncGenerator<string, void, undefined> {
  let text = '';
  for await (const chunk of stream) {
    text += String(chunk);
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    yield* blocks;
  }
}

function parse(block: string): ServerSentEvent {
  const field = (name: string): string | null =>
    block
      .split('\n')
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2) ?? null;
  return { id: field('id'), event: field('event'), data: field('data') ?? '' };
}
