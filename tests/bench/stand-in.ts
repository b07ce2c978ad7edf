/**
 * What stands in for Unipile in a benchmark: answers `POST /api/v1/chats` as Unipile does, at once
 * or after a while.
 *
 * A process of its own, and little more than a socket: it must cost less than whoever calls it,
 * since it shares the machine with them. It keeps nothing and checks nothing; the sandbox does
 * that.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface StandInOrder {
  /** An answer takes from `delayMsMin` to `delayMsMax`; 0 and 0 for at once. */
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

export interface StandInReady {
  readonly url: string;
}

export interface StandInTally {
  readonly calls: number;
  /** The most that were waiting for their answer at the same time. */
  readonly atOnceMax: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');
let calls = 0;
let atOnce = 0;
let atOnceMax = 0;

process.once('message', async ({ delayMsMin, delayMsMax }: StandInOrder) => {
  const delay = (): number => delayMsMin + Math.floor(Math.random() * (delayMsMax - delayMsMin + 1));
  const server = createServer({ noDelay: true }, (socket) => serve(socket, delay));
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}` } satisfies StandInReady);
  // Asked for the tally, and begins another.
  process.on('message', () => {
    process.send?.({ calls, atOnceMax } satisfies StandInTally);
    calls = 0;
    atOnceMax = 0;
  });
});
process.once('disconnect', () => process.exit(0));

function serve(socket: Socket, delay: () => number): void {
  let received: Buffer = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    for (;;) {
      const headEnd = received.indexOf(HEAD_END);
      if (headEnd === -1) return;
      const head = received.toString('latin1', 0, headEnd).toLowerCase();
      const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
      // Every caller here says how long its request is.
      if (length === undefined) return void socket.destroy();
      const end = headEnd + HEAD_END.length + Number(length);
      if (received.length < end) return;
      received = received.subarray(end);
      answerAfter(delay(), socket, head.includes('\r\nconnection: close'));
    }
  });
}

function answerAfter(delayMs: number, socket: Socket, isLast: boolean): void {
  atOnce += 1;
  atOnceMax = Math.max(atOnceMax, atOnce);
  if (delayMs === 0) answer(socket, isLast);
  else setTimeout(answer, delayMs, socket, isLast);
}

function answer(socket: Socket, isLast: boolean): void {
  calls += 1;
  atOnce -= 1;
  const id = `${process.pid}-${calls}-${Math.random().toString(36).slice(2)}`;
  const body = `{"object":"ChatStarted","chat_id":"chat-${id}","message_id":"message-${id}"}`;
  const text = `HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: ${
    isLast ? 'close' : 'keep-alive'
  }\r\n\r\n${body}`;
  if (isLast) socket.end(text);
  else socket.write(text);
}
