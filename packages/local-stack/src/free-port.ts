/**
 * A TCP port that nobody listens on, for servers that cannot be asked for port 0.
 *
 * Promises nothing after it returns: another process may take the port first, so the caller tries
 * again with another one when its server says that the address is in use.
 */

import { createServer } from 'node:net';

/** A free port of 127.0.0.1, chosen by the operating system. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close((error) => (error ? reject(error) : resolve(port)));
    });
  });
}
