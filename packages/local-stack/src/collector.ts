/**
 * A stand-in of an OpenTelemetry collector: takes spans as OTLP over HTTP in JSON, and keeps all
 * that it was told.
 */
import { type Received, startReceiver } from './receiver.ts';

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty of one that begins a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  /** 1: within the process; 2: of a server; 3: of a client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** The ids of the spans that it is linked to. */
  readonly links: readonly string[];
  readonly isError: boolean;
  /** `service.name` of the process. */
  readonly service: string;
}

export interface Collector {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT says. */
  readonly endpoint: string;
  /** All that came, to be looked through as it is. */
  readonly requests: readonly Received[];
  spans(name?: string): readonly CollectedSpan[];
  /** What is answered from now on: a status, or `nothing`. */
  answerWith(answer: number | 'nothing'): void;
  close(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  const receiver = await startReceiver();
  const { received: requests } = receiver;
  return {
    endpoint: receiver.address,
    requests,
    spans: (name) =>
      requests
        .flatMap(({ body }) => spansIn(body))
        .filter((span) => name === undefined || span.name === name),
    answerWith: receiver.answerWith,
    close: receiver.close,
  };
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string };
}

interface OtlpSpan
  extends Omit<CollectedSpan, 'attributes' | 'links' | 'isError' | 'service' | 'parentSpanId'> {
  readonly parentSpanId?: string;
  readonly attributes?: readonly OtlpAttribute[];
  readonly links?: ReadonlyArray<{ readonly spanId: string }>;
  readonly status?: { readonly code?: number };
}

interface OtlpTraces {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: readonly OtlpAttribute[] };
    readonly scopeSpans: ReadonlyArray<{ readonly spans: readonly OtlpSpan[] }>;
  }>;
}

const STATUS_ERROR = 2;

const valuesOf = (attributes: readonly OtlpAttribute[] = []): Record<string, string | number> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue ?? Number.NaN)]),
  );

function spansIn(body: string): CollectedSpan[] {
  return (JSON.parse(body) as OtlpTraces).resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(valuesOf(resource.attributes)['service.name']);
    return scopeSpans
      .flatMap(({ spans }) => spans)
      .map(({ traceId, spanId, parentSpanId = '', name, kind, attributes, links = [], status }) => ({
        ...{ traceId, spanId, parentSpanId, name, kind, service },
        attributes: valuesOf(attributes),
        links: links.map((link) => link.spanId),
        isError: status?.code === STATUS_ERROR,
      }));
  });
}
