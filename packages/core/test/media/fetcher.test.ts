import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMediaFetcher, type MediaFetcherOptions } from '../../src/media/index.ts';
import { FILES } from './files.ts';

interface FileServer {
  readonly origin: string;
  /** Paths asked for, in order. */
  readonly asked: string[];
}

/** A server that listens until the test ends. */
async function serverOf(listener: RequestListener): Promise<FileServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function fetcherOf(options: Partial<MediaFetcherOptions> = {}) {
  const fetcher = createMediaFetcher({ allowedOrigins: [], ...options });
  onTestFinished(() => fetcher.close());
  return fetcher;
}

/** The origin of a server that answers each connection with these bytes, whatever is asked, and closes it. */
async function bytesFrom(...bytes: (string | Uint8Array)[]): Promise<string> {
  const server = createTcpServer((socket) => {
    // The client may be gone as soon as it has seen enough.
    socket.on('error', () => {});
    socket.once('data', () => {
      for (const part of bytes) socket.write(part);
      socket.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** One file from a server that may be reached. */
async function fetchFrom(listener: RequestListener, options: Partial<MediaFetcherOptions> = {}, path = '/a') {
  const server = await serverOf(listener);
  return fetcherOf({ allowedOrigins: [server.origin], ...options }).fetch(`${server.origin}${path}`);
}

const answering =
  (
    status: number,
    headers: Record<string, string | number> = {},
    body: Uint8Array | string = '',
  ): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body);

const redirectingTo = (location: string, status = 302): RequestListener => answering(status, { location });

describe('a file that can be had', () => {
  it.each([
    { encoding: 'gzip', body: gzipSync(FILES.png) },
    { encoding: 'x-gzip', body: gzipSync(FILES.png) },
    { encoding: 'GZIP', body: gzipSync(FILES.png) },
    { encoding: 'br', body: brotliCompressSync(FILES.png) },
    { encoding: 'deflate', body: deflateSync(FILES.png) },
    { encoding: 'deflate', body: deflateRawSync(FILES.png) }, // as some servers mean it
    { encoding: 'zstd', body: zstdCompressSync(FILES.png) },
    { encoding: 'br, gzip', body: gzipSync(brotliCompressSync(FILES.png)) }, // the last was applied last
    { encoding: 'identity', body: FILES.png },
    { encoding: 'aws-chunked', body: FILES.png }, // left behind by an upload to S3
    { encoding: 'gzip', body: FILES.png }, // unpacked by a proxy that kept the header
  ])('is unpacked if it came as $encoding', async ({ encoding, body }) => {
    const file = await fetchFrom(answering(200, { 'content-encoding': encoding }, body));
    expect(file).toMatchObject({ ok: true, mimeType: 'image/png' });
    expect(file.ok && Buffer.from(file.bytes).equals(FILES.png)).toBe(true);
  });

  it('is judged by its bytes, whatever the header says', async () => {
    const file = await fetchFrom(
      answering(200, { 'content-type': 'text/html' }, FILES.png),
      {},
      '/team.html?x=1',
    );
    expect(file).toEqual({
      ok: true,
      name: 'team.png',
      mimeType: 'image/png',
      kind: 'image',
      bytes: FILES.png,
    });
  });

  it.each([
    { path: '/', name: 'file.png' },
    { path: '/photo.jpeg', name: 'photo.png' },
    { path: '/a/b/Gr%C3%BC%C3%9Fe%20aus%20K%C3%B6ln.PNG', name: 'Grüße aus Köln.png' },
    { path: '/..%2F..%2Fetc%2Fpasswd', name: 'passwd.png' },
    { path: '/%E0%A4%A', name: 'E0A4A.png' },
    { path: '/a%22%0D%0Ab.png', name: 'ab.png' },
    { path: `/${'x'.repeat(300)}`, name: `${'x'.repeat(100)}.png` },
    { path: '/.png', name: 'file.png' },
  ])('$path is called $name', async ({ path, name }) => {
    expect(await fetchFrom(answering(200, {}, FILES.png), {}, path)).toMatchObject({ ok: true, name });
  });

  it('comes in pieces, of exactly the size allowed', async () => {
    const chunked: RequestListener = (_request, response) => {
      for (let at = 0; at < FILES.pdf.length; at += 50) response.write(FILES.pdf.subarray(at, at + 50));
      response.end();
    };
    const file = await fetchFrom(chunked, { bytesMax: FILES.pdf.length });
    expect(file).toMatchObject({ ok: true, kind: 'document', bytes: FILES.pdf });
  });

  it.each([301, 302, 303, 307, 308])('is found behind %i, up to three of them', async (status) => {
    const server = await serverOf((request, response) => {
      const hop = Number(request.url?.slice(1));
      if (hop === 3) response.end(FILES.gif);
      else response.writeHead(status, { location: `/${hop + 1}` }).end();
    });
    const file = await fetcherOf({ allowedOrigins: [server.origin] }).fetch(`${server.origin}/0`);
    expect(file).toMatchObject({ ok: true, mimeType: 'image/gif' });
    expect(server.asked).toEqual(['/0', '/1', '/2', '/3']);
  });

  it('is asked for without anything of ours', async () => {
    let seen: IncomingHttpHeaders = {};
    await fetchFrom((request, response) => {
      seen = request.headers;
      response.end(FILES.png);
    });
    expect(Object.keys(seen).sort()).toEqual(['accept', 'accept-encoding', 'connection', 'host']);
  });
});

describe('a file that cannot be had', () => {
  it.each([
    { status: 404, problem: 'media_gone', retryable: false },
    { status: 410, problem: 'media_gone', retryable: false },
    { status: 401, problem: 'media_gone', retryable: false },
    { status: 403, problem: 'media_gone', retryable: false },
    { status: 304, problem: 'media_gone', retryable: false },
    { status: 302, problem: 'media_gone', retryable: false },
    { status: 408, problem: 'media_unreachable', retryable: true },
    { status: 429, problem: 'media_unreachable', retryable: true },
    { status: 500, problem: 'media_unreachable', retryable: true },
    { status: 503, problem: 'media_unreachable', retryable: true },
  ])('$status is $problem', async ({ status, problem, retryable }) => {
    const answer = await fetchFrom(answering(status, {}, 'x'.repeat(100_000)), {}, '/a?token=secret');
    expect(answer).toMatchObject({ ok: false, problem, retryable });
    // Who reads it learns where and what, and no token.
    expect(!answer.ok && answer.detail).toMatch(
      new RegExp(`^127\\.0\\.0\\.1:\\d+ answered ${status}: .+\\.$`),
    );
  });

  it.each([
    { file: 'html', what: 'is a web page' },
    { file: 'page', what: 'is a web page' },
    { file: 'heic', what: 'is a HEIC image' },
    { file: 'avif', what: 'is an AVIF image' },
    { file: 'svg', what: 'is an SVG image' },
    { file: 'quickTime', what: 'is a QuickTime video' },
    { file: 'zip', what: 'is a ZIP archive' },
    { file: 'xlsx', what: 'is an Excel workbook' },
    { file: 'json', what: 'is JSON, and may be an error' },
    { file: 'xml', what: 'is XML, and may be an error' },
    { file: 'empty', what: 'is nothing at all' },
    { file: 'xls', what: 'is no file that a post can carry' },
  ] as const)('$file is of no type for a post, and called by its name', async ({ file, what }) => {
    const answer = await fetchFrom(answering(200, { 'content-type': 'image/png' }, FILES[file]));
    expect(answer).toMatchObject({
      ok: false,
      problem: 'media_type',
      retryable: false,
      detail: expect.stringMatching(new RegExp(`answered ${what}: .*use .*JPEG, PNG`)),
    });
  });

  it('204 is nothing at all', async () => {
    const answer = await fetchFrom(answering(204));
    expect(answer).toMatchObject({
      problem: 'media_type',
      detail: expect.stringContaining('nothing at all'),
    });
  });

  it('more than the size allowed is not read, if the server says so', async () => {
    const answer = await fetchFrom(answering(200, {}, Buffer.alloc(1_001)), { bytesMax: 1_000 });
    expect(answer).toMatchObject({ ok: false, problem: 'media_too_large', retryable: false });
  });

  it('more than the size allowed is not read to its end, if the server does not say', async () => {
    let written = 0;
    const endless: RequestListener = (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16_384))) written += 16_384;
      };
      response.on('drain', more);
      more();
    };
    const answer = await fetchFrom(endless, { bytesMax: 100_000 });
    expect(answer).toMatchObject({ ok: false, problem: 'media_too_large', retryable: false });
    expect(written).toBeLessThan(50 * 1_048_576);
  });

  it('says the real limit', async () => {
    const answer = await fetchFrom(answering(200, { 'content-length': 15 * 1_048_576 + 1 }));
    expect(answer).toMatchObject({ problem: 'media_too_large', detail: expect.stringContaining('15 MB') });
  });

  it.each([
    {
      name: 'a body that stops',
      listener: ((_request, response) => void response.write('%PDF')) as RequestListener,
    },
    { name: 'no answer', listener: (() => {}) as RequestListener },
  ])('$name is waited for so long, and no longer', async ({ listener }) => {
    expect(await fetchFrom(listener, { timeoutMs: 200 })).toMatchObject({
      ok: false,
      problem: 'media_unreachable',
      retryable: true,
      detail: expect.stringContaining('TimeoutError'),
    });
  });

  it('a body that breaks off is no file', async () => {
    const broken: RequestListener = (_request, response) => {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write(FILES.png, () => response.destroy());
    };
    expect(await fetchFrom(broken)).toMatchObject({
      ok: false,
      problem: 'media_unreachable',
      retryable: true,
    });
  });

  it('a byte at a time is waited for no longer than any other', async () => {
    const dripping: RequestListener = (_request, response) => {
      response.writeHead(200, { 'content-length': 1_000_000 });
      const timer = setInterval(() => response.write('%'), 10);
      response.once('close', () => clearInterval(timer));
    };
    expect(await fetchFrom(dripping, { timeoutMs: 300 })).toMatchObject({
      problem: 'media_unreachable',
      detail: expect.stringContaining('TimeoutError'),
    });
  });

  it('redirects that take their time are waited for together', async () => {
    const sleepy: RequestListener = (_request, response) => {
      const timer = setTimeout(() => response.writeHead(302, { location: '/a' }).end(), 150);
      response.once('close', () => clearTimeout(timer));
    };
    expect(await fetchFrom(sleepy, { timeoutMs: 250 })).toMatchObject({
      problem: 'media_unreachable',
      detail: expect.stringContaining('TimeoutError'),
    });
  });

  it('a name that nobody answers for is waited for no longer either', async () => {
    const resolve = () => new Promise<never>(() => {});
    const answer = await fetcherOf({ resolve, timeoutMs: 200 }).fetch('http://files.example.com/a');
    expect(answer).toMatchObject({ problem: 'media_unreachable', retryable: true });
  });

  it.each([
    { encoding: 'gzip', pack: gzipSync },
    { encoding: 'br', pack: brotliCompressSync },
    { encoding: 'deflate', pack: deflateSync },
    { encoding: 'zstd', pack: zstdCompressSync },
  ])(
    'a few KB that $encoding makes 20 MB of are not unpacked beyond the limit',
    async ({ encoding, pack }) => {
      const bomb = pack(Buffer.alloc(20 * 1_048_576));
      const answer = await fetchFrom(answering(200, { 'content-encoding': encoding }, bomb), {
        bytesMax: 1_048_576,
      });
      expect(answer).toMatchObject({ ok: false, problem: 'media_too_large', retryable: false });
    },
  );

  it('a bomb within a bomb is none either', async () => {
    const bomb = gzipSync(gzipSync(Buffer.alloc(20 * 1_048_576)));
    const listener = answering(200, { 'content-encoding': 'gzip, gzip' }, bomb);
    expect(await fetchFrom(listener, { bytesMax: 1_048_576 })).toMatchObject({ problem: 'media_too_large' });
  });

  it('what is packed has the same limit before it is unpacked', async () => {
    const noise = gzipSync(randomBytes(2_000));
    const answer = await fetchFrom(answering(200, { 'content-encoding': 'gzip' }, noise), {
      bytesMax: 1_000,
    });
    expect(answer).toMatchObject({ problem: 'media_too_large' });
  });

  it.each(['gzip', 'br', 'deflate', 'zstd'])(
    'what is no %s, or breaks off, is not taken',
    async (encoding) => {
      for (const bytes of [Buffer.from('nothing of the kind'), gzipSync(randomBytes(500)).subarray(0, 200)]) {
        expect(await fetchFrom(answering(200, { 'content-encoding': encoding }, bytes))).toMatchObject({
          ok: false,
          problem: 'media_unreachable',
          detail: expect.stringContaining(`answered with ${encoding} that cannot be unpacked`),
        });
      }
    },
  );

  it('an encoding that nobody knows is named', async () => {
    const answer = await fetchFrom(answering(200, { 'content-encoding': 'compress' }, 'abc'));
    expect(answer).toMatchObject({
      problem: 'media_type',
      detail: expect.stringContaining('encoded as compress'),
    });
    const four = await fetchFrom(answering(200, { 'content-encoding': 'gzip,gzip,gzip,gzip' }, 'abc'));
    expect(four).toMatchObject({
      problem: 'media_type',
      detail: expect.stringContaining('encoded more than 3 times'),
    });
  });

  it.each([
    { name: 'no HTTP', head: 'hello\r\n\r\n', body: FILES.png },
    { name: 'a length that is none', head: 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', body: FILES.png },
    {
      name: 'two lengths',
      head: 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
      body: FILES.png,
    },
    {
      name: 'a length besides chunks',
      head: 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n',
      body: '2\r\nab\r\n0\r\n\r\n',
    },
    {
      name: 'a chunk whose size is none',
      head: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      body: 'zz\r\n',
    },
    {
      name: 'a length that is too long',
      head: 'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n',
      body: FILES.png,
    },
    {
      name: 'a head of 100 KB',
      head: `HTTP/1.1 200 OK\r\nx-a: ${'x'.repeat(100_000)}\r\n\r\n`,
      body: FILES.png,
    },
  ])('$name is an answer that is not understood', async ({ head, body }) => {
    const origin = await bytesFrom(head, body);
    expect(await fetcherOf({ allowedOrigins: [origin] }).fetch(origin)).toMatchObject({
      ok: false,
      problem: 'media_unreachable',
      retryable: true,
    });
  });

  it('a length that is too short cuts the file off: what is behind it is not read', async () => {
    const origin = await bytesFrom('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n', FILES.png);
    expect(await fetcherOf({ allowedOrigins: [origin] }).fetch(origin)).toMatchObject({
      ok: false,
      problem: 'media_type',
    });
  });

  it('a caller that gives up ends it', async () => {
    const controller = new AbortController();
    const server = await serverOf(() => controller.abort());
    const fetcher = fetcherOf({ allowedOrigins: [server.origin] });
    expect(await fetcher.fetch(server.origin, controller.signal)).toMatchObject({
      ok: false,
      problem: 'media_unreachable',
      detail: expect.stringContaining('AbortError'),
    });
  });

  it('a port that refuses, and a name that nobody has', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.close();
    await once(server, 'close');
    const refused = await fetcherOf({ allowedOrigins: [origin] }).fetch(origin);
    expect(refused).toMatchObject({
      problem: 'media_unreachable',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    const unknown = await fetcherOf({ resolve: async () => [] }).fetch('http://files.example.com/a');
    expect(unknown).toMatchObject({
      problem: 'media_unreachable',
      detail: expect.stringContaining('ENOTFOUND'),
    });
  });

  it('redirects without end, or to nowhere', async () => {
    const server = await serverOf(redirectingTo('/a'));
    expect(await fetcherOf({ allowedOrigins: [server.origin] }).fetch(server.origin)).toMatchObject({
      problem: 'media_gone',
      detail: expect.stringContaining('more than 3 times'),
      retryable: false,
    });
    expect(server.asked).toEqual(['/', '/a', '/a', '/a']);
    expect(await fetchFrom(redirectingTo('http://'))).toMatchObject({ problem: 'media_gone' });
  });
});

/** Where no URL may lead: every way to write this machine that a URL knows, and what is beside it. */
const FORBIDDEN = [
  'http://127.0.0.1:PORT/',
  'http://127.1:PORT/',
  'http://2130706433:PORT/',
  'http://0x7f000001:PORT/',
  'http://0177.0.0.1:PORT/',
  'http://0.0.0.0:PORT/',
  'http://[::1]:PORT/',
  'http://[::ffff:127.0.0.1]:PORT/',
  'http://[64:ff9b::7f00:1]:PORT/',
  'http://localhost:PORT/',
  'http://localhost.:PORT/',
  'http://files.example.com:PORT/',
  'http://169.254.169.254/latest/meta-data/',
  'http://10.0.0.1/',
  'https://192.168.1.1/',
];

describe('where a URL may not lead', () => {
  /** Every name is this machine's. */
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
  const forbidden = { ok: false, problem: 'media_forbidden', retryable: false };

  it.each(FORBIDDEN)('%s is not reached', async (template) => {
    const server = await serverOf(answering(200, {}, FILES.png));
    const url = template.replace('PORT', new URL(server.origin).port);
    expect(await fetcherOf({ resolve }).fetch(url)).toMatchObject(forbidden);
    expect(server.asked).toEqual([]);
  });

  it.each(FORBIDDEN)('nor through a redirect to %s', async (template) => {
    const secret = await serverOf(answering(200, {}, FILES.png));
    const location = template.replace('PORT', new URL(secret.origin).port);
    expect(await fetchFrom(redirectingTo(location), { resolve })).toMatchObject(forbidden);
    expect(secret.asked).toEqual([]);
  });

  it('another port or scheme of an origin that is allowed is not', async () => {
    const allowed = await serverOf(answering(200, {}, FILES.png));
    const other = await serverOf(answering(200, {}, FILES.png));
    const fetcher = fetcherOf({ allowedOrigins: [allowed.origin] });
    expect(await fetcher.fetch(`${allowed.origin}/a`)).toMatchObject({ ok: true });
    expect(await fetcher.fetch(`${other.origin}/a`)).toMatchObject(forbidden);
    expect(await fetcher.fetch(allowed.origin.replace('http:', 'https:'))).toMatchObject(forbidden);
    expect(other.asked).toEqual([]);
  });

  it.each([
    'file:///etc/passwd',
    'ftp://files.example.com/a.png',
    'data:image/png;base64,iVBORw0KGgo=',
    'https://ada:secret@files.example.com/a.png',
    'https://ada@files.example.com/a.png',
    'javascript:alert(1)',
    'files.example.com/a.png',
    '/a.png',
    '',
    'https://',
    `https://files.example.com/${'x'.repeat(4_096)}`,
  ])('%s is no URL that is fetched', async (url) => {
    const answer = await fetcherOf({ resolve }).fetch(url);
    expect(answer).toMatchObject(forbidden);
    expect(!answer.ok && answer.detail).not.toContain('secret');
  });

  it.each([
    'file:///etc/passwd',
    'ftp://files.example.com/a.png',
    'data:image/png;base64,iVBORw0KGgo=',
    'javascript:alert(1)',
    'https://ada:secret@files.example.com/a.png',
  ])('%s is not followed', async (location) => {
    const answer = await fetchFrom(redirectingTo(location), { resolve });
    expect(answer).toMatchObject({
      ...forbidden,
      detail: expect.stringMatching(/^The URL (is not of the web|has a name)/),
    });
  });

  it('a password is sent nowhere, not even where all else may go', async () => {
    const server = await serverOf(answering(200, {}, FILES.png));
    const url = server.origin.replace('//', '//ada:secret@');
    expect(await fetcherOf({ allowedOrigins: [server.origin] }).fetch(url)).toMatchObject(forbidden);
    expect(server.asked).toEqual([]);
  });
});
