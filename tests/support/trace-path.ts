import type { CollectedSpan } from '@revos/local-stack/collector';

/**
 * The names of the spans from the one that begins the trace down to this one; `…` where a parent
 * was not told.
 */
export function pathTo(span: CollectedSpan, spans: readonly CollectedSpan[]): string[] {
  if (span.parentSpanId === '') return [span.name];
  const parent = spans.find(
    ({ spanId, traceId }) => spanId === span.parentSpanId && traceId === span.traceId,
  );
  return [...(parent === undefined ? ['…'] : pathTo(parent, spans)), span.name];
}
