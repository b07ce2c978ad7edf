/** A request as bytes on a socket, for what no HTTP client would send. */
import { once } from 'node:events';
import { connect } from 'node:net';

export interface RawRequestOptions {
  /** Says that no more is to come. The server answers all the same. */
  readonly half?: boolean;
}

/** Sends `text`, and gives everything that comes back until the server closes the connection. */
export async function rawRequest(
  port: number,
  text: string | Uint8Array,
  { half = false }: RawRequestOptions = {},
): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: half });
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  // The server may be done with it before all of it is written.
  socket.on('error', () => {});
  if (half) socket.once('end', () => socket.end());
  socket.write(text);
  if (half) socket.end();
  await once(socket, 'close');
  return Buffer.concat(received).toString('utf8');
}

export interface Head {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The head of an answer as it came. */
export function headOf(answer: string): Head {
  const [line = '', ...lines] = answer.split('\r\n\r\n', 1)[0]?.split('\r\n') ?? [];
  const headers = lines.map((text) => {
    const colon = text.indexOf(':');
    return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()] as const;
  });
  return { status: Number(line.split(' ')[1]), headers: Object.fromEntries(headers) };
}
