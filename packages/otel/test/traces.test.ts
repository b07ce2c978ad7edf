/** Spans as a collector gets them, over real HTTP. */

import { createLogger, inSpan, type SpanFacts } from '@revos/core/telemetry';
import { type Collector, startCollector } from '@revos/local-stack/collector';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOtelTraces, type OtelOptions } from '../src/index.ts';

const RUN = '0b9ad7d5-0f2c-4f5e-9d6c-2c6a5e0a9a01';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

let collector: Collector;
let lines: string[];

beforeEach(async () => {
  collector = await startCollector();
  lines = [];
});
afterEach(() => collector.close());

function open(change: Partial<OtelOptions> = {}) {
  return createOtelTraces({
    endpoint: collector.endpoint,
    headers: { authorization: 'Bearer of-the-collector' },
    resource: { 'deployment.environment.name': 'tests' },
    sampler: { name: 'parentbased_always_on', ratio: 1 },
    process: 'worker',
    release: '1.2.3',
    logger: createLogger('test', 'info', { destination: { write: (line: string) => lines.push(line) } }),
    ...change,
  });
}

const messages = (): string[] => lines.map((line) => String(JSON.parse(line).msg));

describe('a span', () => {
  it('is told with its parent, its links and what it says', async () => {
    const traces = open();
    const slice = traces.start(
      'slice',
      { job: 'dm-queue', run_id: RUN, slice: 0 },
      `00-${TRACE}-${PARENT}-01`,
    );
    const call = slice.child('call', { attempt_id: RUN });
    call.set({ outcome: 'sent', http_status: 201 });
    call.end();
    slice.child('record', { count: 1 }, [call]).end();
    slice.end();
    await traces.flush(5_000);
    const [ofCall, ofRecord, ofSlice] = ['call', 'record', 'slice'].map((name) => collector.spans(name)[0]);
    expect(ofSlice).toMatchObject({
      ...{ traceId: TRACE, parentSpanId: PARENT, service: 'revos-worker', isError: false, kind: 1 },
      attributes: { 'revos.job': 'dm-queue', 'revos.run_id': RUN, 'revos.slice': 0 },
    });
    expect(ofCall).toMatchObject({
      ...{ traceId: TRACE, parentSpanId: ofSlice?.spanId, kind: 3 },
      attributes: { 'revos.attempt_id': RUN, 'revos.outcome': 'sent', 'http.response.status_code': 201 },
    });
    expect(ofRecord).toMatchObject({ parentSpanId: ofSlice?.spanId, links: [ofCall?.spanId] });
    expect(slice.traceparent).toBe(`00-${TRACE}-${ofSlice?.spanId}-01`);
    const [request] = collector.requests;
    expect(request).toMatchObject({
      url: '/v1/traces',
      headers: { 'content-type': 'application/json', authorization: 'Bearer of-the-collector' },
    });
    expect(request?.body).toContain('deployment.environment.name');
  });

  it.each([
    { what: 'nothing', traceparent: undefined },
    { what: 'a text', traceparent: 'Hello' },
    { what: 'another version', traceparent: `01-${TRACE}-${PARENT}-01` },
    { what: 'no trace', traceparent: `00-${'0'.repeat(32)}-${PARENT}-01` },
    { what: 'no span', traceparent: `00-${TRACE}-${'0'.repeat(16)}-01` },
    { what: 'more than its form', traceparent: `00-${TRACE}-${PARENT}-01-more` },
  ])('under $what begins a trace of its own', async ({ traceparent }) => {
    const traces = open();
    traces.start('slice', {}, traceparent).end();
    await traces.flush(5_000);
    expect(collector.spans()).toMatchObject([{ parentSpanId: '' }]);
    expect(collector.spans()[0]?.traceId).not.toBe(TRACE);
  });

  it('says nothing but what is named, in its form', async () => {
    const traces = open();
    const given = {
      job: 'Hello, "Ada"',
      run_id: 'a run',
      outcome: 'Sent to Ada',
      reason: 'r'.repeat(200),
      count: Number.NaN,
      text: 'canary-of-a-text',
      slot: '2026-11-30T10:00:00.000Z and more',
    } as unknown as SpanFacts;
    traces.start('call', given).end();
    await traces.flush(5_000);
    expect(collector.spans()).toMatchObject([{ attributes: {} }]);
    expect(collector.spans()[0]?.attributes).toEqual({});
  });

  it.each([
    { what: 'code', thrown: Object.assign(new Error('canary'), { code: 'ECONNRESET' }), type: 'ECONNRESET' },
    { what: 'type', thrown: new RangeError('canary'), type: 'RangeError' },
    { what: 'code, though it is no error', thrown: { code: 'TIMEOUT', text: 'canary' }, type: 'TIMEOUT' },
    {
      what: 'type, where its code may be anything',
      thrown: Object.assign(new Error('canary'), { code: 'a canary' }),
      type: 'Error',
    },
  ])('that failed is told by the $what of what was thrown', async ({ thrown, type }) => {
    const traces = open();
    const failing = inSpan(traces.start('claim', {}), () => Promise.reject(thrown));
    await expect(failing).rejects.toBe(thrown);
    await traces.flush(5_000);
    expect(collector.spans()).toMatchObject([{ isError: true, attributes: { 'error.type': type } }]);
    expect(collector.requests.map(({ body }) => body).join()).not.toContain('canary');
  });

  it('that is not ended is not told', async () => {
    const traces = open();
    traces.start('claim', {});
    await traces.flush(5_000);
    expect(collector.requests).toEqual([]);
  });
});

describe('the sampler', () => {
  it.each([
    { name: 'parentbased_always_on', flags: '01', told: 2 },
    { name: 'parentbased_always_on', flags: '00', told: 0 },
    { name: 'always_off', flags: '01', told: 0 },
    { name: 'always_on', flags: '00', told: 2 },
    { name: 'parentbased_traceidratio', flags: undefined, told: 0 },
    { name: 'traceidratio', flags: '01', told: 0 },
    { name: 'parentbased_always_off', flags: undefined, told: 0 },
  ] as const)('$name, flags $flags: $told are told', async ({ name, flags, told }) => {
    const traces = open({ sampler: { name, ratio: 0 } });
    const traceparent = flags === undefined ? undefined : `00-${TRACE}-${PARENT}-${flags}`;
    const span = traces.start('slice', {}, traceparent);
    span.child('call', {}).end();
    span.end();
    await traces.flush(5_000);
    expect(collector.spans()).toHaveLength(told);
    expect(span.isRecorded).toBe(told > 0);
    // Who is next is told of the decision.
    expect(span.traceparent).toMatch(told > 0 ? /-01$/ : /-00$/);
  });
});

describe('a collector that is away', () => {
  it('is waited for no longer than was said', async () => {
    const traces = open();
    collector.answerWith('nothing');
    traces.start('slice', {}).end();
    const beganMs = performance.now();
    await traces.flush(200);
    expect(performance.now() - beganMs).toBeLessThan(2_000);
  });

  it('is told of once, and again once it is back', async () => {
    const traces = open();
    collector.answerWith(400);
    for (let count = 0; count < 2; count += 1) {
      traces.start('slice', {}).end();
      await traces.flush(5_000);
    }
    expect(messages()).toEqual(['trace export failed, spans are dropped']);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ problem: '400' });
    collector.answerWith(200);
    traces.start('slice', {}).end();
    await traces.flush(5_000);
    expect(messages().at(-1)).toBe('trace export working again');
  });

  it('holds no more spans than wait at most', async () => {
    const traces = open();
    collector.answerWith('nothing');
    for (let count = 0; count < 10_000; count += 1) traces.start('call', {}).end();
    await traces.flush(300);
    const spans = collector.spans().length;
    expect(spans).toBeGreaterThan(0);
    expect(spans).toBeLessThanOrEqual(2_048 + 512);
  });
});
