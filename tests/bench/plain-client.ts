/** A call to Unipile as a plain integration makes it: undici, JSON, kept connections. */
import { Agent, request } from 'undici';
import type { Message, Order } from './contestant.ts';

export interface PlainClient {
  /** @throws if it was not answered with 201 and an id */
  send(message: Pick<Message, 'account' | 'recipient' | 'text'>): Promise<string>;
}

export function plainClient({
  unipileUrl,
  concurrency,
}: Pick<Order, 'unipileUrl' | 'concurrency'>): PlainClient {
  const dispatcher = new Agent({ connections: concurrency });
  const url = new URL('/api/v1/chats', unipileUrl);
  return {
    async send({ account, recipient, text }) {
      const { statusCode, body } = await request(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-api-key': 'bench' },
        body: JSON.stringify({ account_id: account, attendees_ids: [recipient], text }),
        dispatcher,
      });
      const { message_id } = (await body.json()) as { message_id?: string };
      if (statusCode !== 201 || message_id === undefined) throw new Error(`answered ${statusCode}`);
      return message_id;
    },
  };
}

/** Does `work` for each number below `count`, so many at once. */
export async function eachOf(
  count: number,
  concurrency: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}
