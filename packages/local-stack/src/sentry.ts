/** A stand-in of Sentry: takes envelopes over HTTP as it does, and keeps all that it was told. */
import { type Received, startReceiver } from './receiver.ts';

const PUBLIC_KEY = '0123456789abcdef0123456789abcdef';
const PROJECT = '42';

export interface SentryItem {
  readonly type: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface SentryStandIn {
  readonly dsn: string;
  /** All that came, to be looked through as it is. */
  readonly requests: readonly Received[];
  /** The items of every envelope, in the order in which they came. */
  items(type?: 'event' | 'check_in'): readonly SentryItem[];
  /** What is answered from now on: a status, or `nothing`. */
  answerWith(answer: number | 'nothing'): void;
  forget(): void;
  close(): Promise<void>;
}

export async function startSentry(): Promise<SentryStandIn> {
  const receiver = await startReceiver();
  const { received: requests } = receiver;
  return {
    dsn: `${receiver.address.replace('//', `//${PUBLIC_KEY}@`)}/${PROJECT}`,
    requests,
    items: (type) =>
      requests
        .flatMap(({ body }) => itemsOf(body))
        .filter((item) => type === undefined || item.type === type),
    answerWith: (answer) => receiver.answerWith(answer, answer === 429 ? { 'retry-after': '60' } : {}),
    forget: receiver.forget,
    close: receiver.close,
  };
}

/**
 * Lines of JSON: the envelope's header, and of each item its header and its payload. @throws on
 * what is no envelope
 */
function itemsOf(body: string): SentryItem[] {
  const [, ...lines] = body.split('\n').filter((line) => line !== '');
  if (lines.length % 2 !== 0) throw new Error('this is no envelope');
  return Array.from({ length: lines.length / 2 }, (_, item) => {
    const { type } = JSON.parse(lines[2 * item] ?? '') as { type: string };
    return { type, payload: JSON.parse(lines[2 * item + 1] ?? '') as SentryItem['payload'] };
  });
}
