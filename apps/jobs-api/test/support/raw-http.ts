/** A request as bytes on a socket, for what no HTTP client would send. */
import { once } from 'node:events';
import { connect } from 'node:net';

/** Sends `text`, and gives everything that comes back until the server closes the connection. */
export async function rawRequest(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const received: Buffer[] = [];
  socket.on('data', (chunk) => received.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(received).toString('utf8');
}
