/** The proxy: what passes during each cut, and what is left of the connections after it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startProxy, type TcpProxy } from './proxy.ts';

let server: Server;
let proxy: TcpProxy;
/** What the server was sent, connection by connection; it answers each chunk with `answer`. */
let requests: string[];
let accepted: Socket[];

beforeEach(async () => {
  requests = [];
  accepted = [];
  server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      requests.push(chunk.toString());
      server.emit('asked');
      socket.write('answer');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await startProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterEach(async () => {
  await proxy.close();
  server.close();
});

async function open(): Promise<Socket> {
  const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function exchange(socket: Socket): Promise<string> {
  socket.write('question');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString();
}

/** The code with which the connection ends; `end` where it ends in order. */
function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let code = 'end';
    socket.once('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? String(error);
    });
    socket.once('close', () => resolve(code));
  });
}

describe('a proxy', () => {
  it('hands on questions, answers and ends while nothing is cut', async () => {
    const socket = await open();
    expect(await exchange(socket)).toBe('answer');
    const ended = ending(socket);
    accepted[0]?.end();
    expect(await ended).toBe('end');
  });

  it('hands on a reset', async () => {
    const socket = await open();
    await exchange(socket);
    const ended = ending(socket);
    accepted[0]?.resetAndDestroy();
    expect(await ended).toBe('ECONNRESET');
  });

  it('resets every connection at once', async () => {
    const sockets = [await open(), await open()];
    for (const socket of sockets) await exchange(socket);
    const endings = sockets.map(ending);
    expect(await proxy.cut('reset', 0)).toBe(2);
    expect(await Promise.all(endings)).toEqual(['ECONNRESET', 'ECONNRESET']);
    expect(await exchange(await open())).toBe('answer');
  });

  it('a black hole lets nothing pass, not even an end, and resets what it swallowed', async () => {
    const socket = await open();
    await exchange(socket);
    const ended = ending(socket);
    const cutting = proxy.cut('black-hole', 100);
    socket.write('swallowed');
    accepted[0]?.end();
    const first = await Promise.race([ended, cutting.then(() => 'the cut was over')]);
    expect(first).toBe('the cut was over');
    expect(await ended).toBe('ECONNRESET');
    expect(requests).toEqual(['question']);
    expect(await exchange(await open())).toBe('answer');
  });

  it('loses answers, and no requests', async () => {
    const socket = await open();
    await exchange(socket);
    const ended = ending(socket);
    let answers = 0;
    socket.on('data', () => {
      answers += 1;
    });
    const asked = once(server, 'asked');
    const cutting = proxy.cut('lost-answers', 100);
    socket.write('second');
    await asked;
    expect(await cutting).toBe(1);
    expect(await ended).toBe('ECONNRESET');
    expect(requests).toEqual(['question', 'second']);
    expect(answers).toBe(0);
  });

  it('refuses new connections, and lets open ones go on', async () => {
    const socket = await open();
    await exchange(socket);
    const cutting = proxy.cut('refused', 100);
    const refused = connect(Number(new URL(proxy.url).port), '127.0.0.1');
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
    expect(await exchange(socket)).toBe('answer');
    expect(await cutting).toBe(0);
    expect(await exchange(await open())).toBe('answer');
  });
});
